"""A stream of text cut into records, none of its bytes lost: every record is later a row or a rejected one."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from boathouse.errors import InvalidInput
from boathouse.lake.files.dialect import Dialect, fields_of

Numbers = npt.NDArray[np.int64]

LONGEST = 8 << 20
"""Bytes after which an open quote is taken for a mistake."""

_TOO_LONG = 64 << 20
_LF = 10


@dataclass(frozen=True)
class Chunk:
    """Whole records: `data[starts[i]:ends[i]]` is one, without its line end.

    `lines` counts from 1 and names each record's first line; `offset` is where `data` begins in the text.
    The records in `open` are single lines in which a quote is never closed.
    """

    data: bytes
    starts: Numbers
    ends: Numbers
    lines: Numbers
    offset: int
    open: frozenset[int] = field(default_factory=frozenset)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def newlines(self) -> Numbers:
        """Where the line ends are."""
        return np.flatnonzero(np.frombuffer(self.data, np.uint8) == _LF)

    def record(self, index: int) -> bytes:
        """The bytes of one record."""
        return self.data[self.starts[index] : self.ends[index]]


def cut(blocks: Iterator[bytes], dialect: Dialect | None = None) -> Iterator[Chunk]:
    """The records of a text. With a dialect a record may hold line ends in quotes; without one it is a line.

    A quoted field counts as one of several lines only if all quotes of the record stand where they should;
    else the quote is taken for a mistake, and only its own line is spoiled.
    """
    pending, offset, line = b"", 0, 1
    for block in blocks:
        pending += block
        cutter = _Cutter(pending, dialect, final=False)
        chunk, used, lines = cutter.chunk(offset, line)
        if not used and len(pending) > _TOO_LONG:
            raise InvalidInput(f"line {line} is longer than {_TOO_LONG >> 20} MB; is this a file of rows?")
        if used:
            pending, offset, line = pending[used:], offset + used, line + lines
            if len(chunk):
                yield chunk
    while pending:
        chunk, used, lines = _Cutter(pending, dialect, final=True).chunk(offset, line)
        pending, offset, line = pending[used:], offset + used, line + lines
        yield chunk


class _Cutter:
    """Cuts one piece of text; what may go on in the next piece is left over."""

    def __init__(self, data: bytes, dialect: Dialect | None, final: bool) -> None:
        if final and not data.endswith(b"\n"):
            data += b"\n"
        self._data = data
        self._dialect = dialect
        self._final = final
        octets = np.frombuffer(data, np.uint8)
        self._ends = np.flatnonzero(octets == _LF).astype(np.int64)
        self._starts = np.concatenate(([0], self._ends[:-1] + 1)) if len(self._ends) else self._ends
        self._open: set[int] = set()
        self._first = np.ones(len(self._ends), bool)  # the line begins a record
        if dialect and dialect.quote.encode() in data:
            self._join(np.flatnonzero(octets == ord(dialect.quote)))

    def chunk(self, offset: int, line: int) -> tuple[Chunk, int, int]:
        """The records, how many bytes they take, and how many lines."""
        begins = np.flatnonzero(self._first)
        starts = self._starts[begins]
        last = np.concatenate((begins[1:] - 1, [len(self._ends) - 1])) if len(begins) else begins
        ends = self._ends[last]
        used = int(ends[-1]) + 1 if len(ends) else 0
        octets = np.frombuffer(self._data, np.uint8)
        stripped = ends - ((ends > starts) & (octets[np.maximum(ends - 1, 0)] == ord("\r")))
        spoiled = frozenset(np.flatnonzero(np.isin(begins, sorted(self._open))).tolist()) if self._open else frozenset[int]()
        lines = len(self._ends) if used else 0
        return Chunk(self._data[:used], starts, stripped, begins + line, offset, spoiled), used, lines

    def _join(self, quotes: npt.NDArray[np.intp]) -> None:
        """Find records of several lines; only a line with an odd number of quotes can begin one."""
        before = np.searchsorted(quotes, self._ends)
        odd = np.flatnonzero(np.diff(before, prepend=0) & 1)
        after = -1
        for line in odd.tolist():
            if line <= after:
                continue
            start, end = int(self._starts[line]), int(self._ends[line])
            if fields_of(self._data[start:end], self._dialect) is not None:  # type: ignore[arg-type]
                continue
            last = self._last_line(start, line)
            if last is None:
                self._leave(line)
                return
            if last == line:
                self._open.add(line)
            self._first[line + 1 : last + 1] = False
            after = last

    def _last_line(self, start: int, line: int) -> int | None:
        """The last line of the record that starts here: its own where a quote is a mistake, None if it is not there yet."""
        end = _strict_end(self._data, start, self._dialect)  # type: ignore[arg-type]
        if end is None:
            waits = not self._final and len(self._data) - start < LONGEST
            return None if waits else line
        return line if end < 0 else int(np.searchsorted(self._ends, end))

    def _leave(self, line: int) -> None:
        self._ends, self._starts, self._first = self._ends[:line], self._starts[:line], self._first[:line]


def _strict_end(data: bytes, start: int, dialect: Dialect) -> int | None:
    """Where a record's line ends if all its quotes stand where they should; -1 if not, None if it is open at the end."""
    delimiter, quote = dialect.delimiter.encode(), dialect.quote.encode()
    at = start
    while True:
        if data[at : at + 1] == quote:
            at = _closing(data, at + 1, quote)
            if at < 0:
                return None if len(data) - start < LONGEST else -1
            if data[at : at + 1] == b"\r":
                at += 1
            following = data[at : at + 1]
            if following == b"\n":
                return at
            if following != delimiter:
                return -1 if following else None
            at += 1
            continue
        newline, comma = data.find(b"\n", at), data.find(delimiter, at)
        if newline < 0:
            return None
        end = comma if 0 <= comma < newline else newline
        if quote in data[at:end]:
            return -1
        if end == newline:
            return newline
        at = end + 1


def _closing(data: bytes, at: int, quote: bytes) -> int:
    """Just after the quote that closes a field; -1 without one."""
    while True:
        end = data.find(quote, at)
        if end < 0:
            return -1
        if data[end + 1 : end + 2] != quote:
            return end + 1
        at = end + 2
