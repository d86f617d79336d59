"""How a CSV file writes its rows, found out from its first lines."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from boathouse.errors import InvalidInput

_DELIMITERS = (",", ";", "\t", "|")
_LINES = 1_000
_NUMBER = re.compile(r"[+-]?(\d[\d.,]*|[.,]\d+)([eE][+-]?\d+)?%?")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d.*)?")


@dataclass(frozen=True)
class Dialect:
    """What stands between fields, what may enclose them, and whether the first row names them."""

    delimiter: str = ","
    quote: str = '"'
    header: bool = True

    def check(self) -> None:
        """Raises InvalidInput for signs that cannot serve."""
        for what, sign in (("delimiter", self.delimiter), ("quote", self.quote)):
            if len(sign.encode()) != 1 or sign in "\r\n":
                raise InvalidInput(f"the {what} {sign!r} must be one ASCII character")
        if self.delimiter == self.quote:
            raise InvalidInput(f"the delimiter and the quote are both {self.quote!r}")


@dataclass(frozen=True)
class Field:
    """One field of a record, and whether it was written in quotes."""

    value: bytes
    quoted: bool = False


def fields_of(record: bytes, dialect: Dialect) -> list[Field] | None:
    """The fields of one record, without its line end; None when a quote in it is never closed.

    A quote encloses only at the start of a field; two inside mean one; elsewhere it stands for itself.
    """
    delimiter, quote = dialect.delimiter.encode(), dialect.quote.encode()
    found: list[Field] = []
    at = 0
    while True:
        value, quoted = b"", record[at : at + 1] == quote
        if quoted:
            at += 1
            while True:
                end = record.find(quote, at)
                if end < 0:
                    return None
                value += record[at:end]
                at = end + 1
                if record[at : at + 1] != quote:
                    break
                value += quote
                at += 1
        end = record.find(delimiter, at)
        found.append(Field(value + record[at : end if end >= 0 else None], quoted))
        if end < 0:
            return found
        at = end + 1


def sniff(text: bytes, delimiter: str | None = None, quote: str | None = None, header: bool | None = None) -> Dialect:
    """The dialect of a file's first lines; what is given stays.

    The delimiter is the one that cuts most lines into equally many fields. The first row is a header unless
    one of its fields is a number or a date, or nearly all are empty.
    """
    lines = [line.rstrip(b"\r") for line in text.split(b"\n")[:_LINES] if line.strip()]
    sign = quote or '"'
    candidates = [Dialect(d, sign) for d in ((delimiter,) if delimiter else _DELIMITERS)]
    for candidate in candidates:
        candidate.check()
    chosen = max(candidates, key=lambda d: _evenness(lines, d))
    first = fields_of(lines[0], chosen) if lines else None
    named = _names_columns([f.value.decode(errors="replace") for f in first or ()]) if header is None else header
    return Dialect(chosen.delimiter, sign, named)


def _evenness(lines: Sequence[bytes], dialect: Dialect) -> tuple[float, int]:
    widths = Counter(len(fields) for line in lines if (fields := fields_of(line, dialect)))
    if not widths:
        return 0.0, 0
    width, count = max(widths.items(), key=lambda pair: (pair[1], pair[0]))
    return (count / sum(widths.values()) if width > 1 else 0.0), width


def _names_columns(first: Sequence[str]) -> bool:
    words = [word.strip() for word in first]
    if any(_NUMBER.fullmatch(w) or _DATE.fullmatch(w) for w in words):
        return False
    filled = [w for w in words if w]
    return len(filled) == len(words) or len(filled) > 1
