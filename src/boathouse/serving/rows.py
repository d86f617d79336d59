"""Rows of a request: columns of Python's values, which are looked up, logged and answered without a frame around them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from reprlib import repr as shown
from typing import TYPE_CHECKING, Any

from boathouse.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

ABSENT = float("nan")
"""What a record lacks that others have, as pandas says it; a null stays None."""


class Rows:
    """`columns` by name, each with `count` values. `frame` is the table that they came as, whose types a model may need."""

    __slots__ = ("columns", "count", "frame")

    def __init__(self, columns: Mapping[str, list[Any]], count: int, frame: "pd.DataFrame | None" = None) -> None:
        self.columns, self.count, self.frame = columns, count, frame

    @classmethod
    def of_records(cls, records: Sequence[Any]) -> "Rows":
        """Rows of objects; they need not have the same names. Raises InvalidInput for what is no object."""
        if not records:
            return cls({}, 0)
        for at, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise InvalidInput(f"row {at} is {shown(record)}, where rows are objects")
        names = records[0].keys()
        if all(record.keys() == names for record in records):
            return cls({name: [record[name] for record in records] for name in names}, len(records))
        every = dict.fromkeys(chain.from_iterable(records))
        return cls({name: [record.get(name, ABSENT) for record in records] for name in every}, len(records))

    @classmethod
    def of_lists(cls, lists: Sequence[Any], names: Sequence[Any] | None) -> "Rows":
        """Rows of lists; without names the columns are called by number. Raises InvalidInput for what has not a value each."""
        for at, row in enumerate(lists):
            if not isinstance(row, list):
                raise InvalidInput(f"row {at} is {shown(row)}, where rows are lists of values")
        called = [str(n) for n in names] if names else [str(n) for n in range(max(map(len, lists), default=0))]
        if twice := [name for name, times in Counter(called).items() if times > 1]:
            raise InvalidInput(f"the column {twice[0]!r} is named twice")
        for at, row in enumerate(lists):
            if len(row) != len(called):
                raise InvalidInput(f"row {at} has {len(row)} values, where {len(called)} are expected: {', '.join(called)}")
        return cls({name: [row[at] for row in lists] for at, name in enumerate(called)}, len(lists))

    @classmethod
    def of_columns(cls, given: Mapping[str, Any]) -> "Rows":
        """Columns as lists, or single values. Raises InvalidInput where their lengths differ."""
        columns = {name: value if isinstance(value, list) else [value] for name, value in given.items()}
        lengths = {len(values): name for name, values in columns.items()}
        if len(lengths) > 1:
            (one, first), (other, second) = list(lengths.items())[:2]
            raise InvalidInput(f"columns have different lengths: {first!r} has {one} values, {second!r} has {other}")
        return cls(columns, next(iter(lengths), 0))

    @classmethod
    def of_frame(cls, frame: "pd.DataFrame") -> "Rows":
        """A table with types of its own."""
        return cls({str(name): _listed(frame[name]) for name in frame}, len(frame), frame)

    def beside(self, more: Mapping[str, list[Any]]) -> "Rows":
        """These, and more columns of as many values."""
        return Rows({**self.columns, **more}, self.count, self.frame)

    def to_frame(self) -> "pd.DataFrame":
        """As a model takes them: in one step, since pandas takes half a millisecond to insert each column by itself."""
        import pandas as pd

        if self.frame is None:
            return pd.DataFrame(self.columns, index=range(self.count))
        named = self.frame.set_axis([str(name) for name in self.frame], axis=1)
        more = {name: values for name, values in self.columns.items() if name not in named}
        return pd.concat([named, pd.DataFrame(more, index=named.index)], axis=1) if more else named

    def records(self, names: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """One object a row, of these columns or all."""
        chosen = list(self.columns if names is None else names)
        if not chosen:
            return [{} for _ in range(self.count)]
        return [dict(zip(chosen, row, strict=True)) for row in zip(*(self.columns[name] for name in chosen), strict=True)]


def is_gone(value: Any) -> bool:
    """Whether it is None or pandas' sign for what is missing, which equals not even itself."""
    return value is None or bool(value != value)  # noqa: PLR0124


def as_json(value: Any) -> Any:
    """What `msgspec` has no JSON for: values of NumPy and pandas as the Python values they stand for, else their text."""
    if isinstance(value, datetime):  # pandas' own
        return None if is_gone(value) else value.isoformat()
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def _listed(column: "pd.Series[Any]") -> list[Any]:
    values = column.dt.to_pydatetime() if column.dtype.kind == "M" else column.tolist()
    return [None if gone else value for value, gone in zip(values, column.isna(), strict=True)]
