"""Dates and times as people write them, as SQL that reads them."""

from dataclasses import dataclass
from itertools import product

from boathouse.errors import InvalidInput
from boathouse.lake.files.rows import sql_list

_PLAIN = ("%Y/%m/%d", "%d.%m.%Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y")
_DAY_FIRST = ("%d/%m/%Y", "%d-%m-%Y")
_MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y")
_TIMES = ("", " %H:%M:%S", " %H:%M", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S.%f")
_ZONED = ("%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %Z")
FULL_YEAR = r"(^|\D)\d{4}(\D|$)"


@dataclass(frozen=True)
class DateShapes:
    """Which formats a column's values may have, besides ISO 8601."""

    formats: tuple[str, ...] = ()
    zoned: tuple[str, ...] = ()

    def instant(self, text: str) -> str:
        """SQL of a TIMESTAMPTZ out of an SQL text; null where no format fits. What names no zone is UTC."""
        parts = [f"TRY_CAST({text} AS TIMESTAMPTZ)"]
        if self.formats:
            parts.append(f"try_strptime({text}, {sql_list(self.formats)})::TIMESTAMPTZ")
        if self.zoned:
            parts.append(f"try_strptime({text}, {sql_list(self.zoned)})")
        # two digits are no year: 02/01/24 is read as the year 24 otherwise
        return f"CASE WHEN regexp_matches({text}, '{FULL_YEAR}') THEN COALESCE({', '.join(parts)}) END"


ISO = DateShapes()
DAY_FIRST = DateShapes(tuple(d + t for d, t in product(_PLAIN + _DAY_FIRST, _TIMES)), _ZONED)
MONTH_FIRST = DateShapes(tuple(d + t for d, t in product(_PLAIN + _MONTH_FIRST, _TIMES)), _ZONED)


def given(format_: str) -> DateShapes:
    """The one format that the caller names, beside ISO 8601. Raises InvalidInput."""
    if "%" not in format_:
        raise InvalidInput(f"the date format {format_!r} names no part; write one as in %d/%m/%Y %H:%M")
    zoned = "%z" in format_ or "%Z" in format_
    return DateShapes((), (format_,)) if zoned else DateShapes((format_,))

