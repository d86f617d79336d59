"""A lazy result: nothing is read until rows are asked for."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from boathouse.errors import InvalidInput, MissingExtra
from boathouse.lake.limits import limited
from boathouse.lake.literals import quoted
from boathouse.lake.origin import TAG, UNKNOWN, Origin, tag_of, tagged
from boathouse.lake.rows_out import write_rows
from boathouse.names import nearest

if TYPE_CHECKING:
    import duckdb
    import pandas
    import polars

_BATCH_VALUES = 4_000_000
_MOST_ROWS = 100_000


class Relation:
    """Rows and columns of a query; hands itself to Polars, pandas, PyArrow and whatever speaks Arrow.

    Whatever computes it raises LimitExceeded when memory and the disk to spill to do not suffice. `quick` is another way to
    all of the same rows, in batches of so many; None where it does not apply this time.
    """

    def __init__(
        self,
        relation: "duckdb.DuckDBPyRelation",
        origin: Callable[[], Origin] = lambda: UNKNOWN,
        quick: Callable[[int], pa.RecordBatchReader | None] = lambda _rows: None,
    ) -> None:
        self._relation = relation
        self._origin = origin
        self._quick = quick

    @property
    def origin(self) -> Origin:
        """What the rows are made of; it goes with them into Arrow and pandas."""
        return self._origin()

    @property
    def columns(self) -> list[str]:
        """Column names in order."""
        return list(self._relation.columns)

    @property
    def types(self) -> dict[str, str]:
        """Column name -> SQL type."""
        return dict(zip(self._relation.columns, map(str, self._relation.types), strict=True))

    def duckdb(self) -> "duckdb.DuckDBPyRelation":
        """The DuckDB relation itself."""
        return self._relation

    def to_arrow(self) -> pa.Table:
        """All rows as one Arrow table."""
        return tagged(self._table(), self.origin)

    def _table(self) -> pa.Table:
        with limited():
            quick = self._quick(_MOST_ROWS)
            return quick.read_all() if quick else self._relation.to_arrow_table()

    def to_reader(self, rows: int | None = None) -> pa.RecordBatchReader:
        """All rows as a stream of batches, of so many rows or of some 30 MB; they are never held together."""
        most = rows or max(2_048, min(_MOST_ROWS, _BATCH_VALUES // len(self._relation.columns)))
        with limited():
            reader = self._quick(most) or self._relation.to_arrow_reader(most)
        return pa.RecordBatchReader.from_batches(reader.schema, _each(reader))

    def to_parquet(self, path: str | Path) -> int:
        """All rows into a Parquet file, as they come; how many."""
        with Path(path).open("wb") as file:
            return write_rows(self.to_reader(), "parquet", file.write)

    def to_pandas(self) -> "pandas.DataFrame":
        """All rows as a pandas frame."""
        rows = self._table()
        frame: pandas.DataFrame = rows.to_pandas()
        frame.attrs[TAG] = tag_of(self.origin, rows.schema.names, rows.num_rows)
        return frame

    toPandas = to_pandas

    def to_polars(self) -> "polars.DataFrame":
        """All rows as a Polars frame. Raises MissingExtra."""
        try:
            import polars
        except ModuleNotFoundError as error:
            raise MissingExtra("Polars is not installed: run `pip install polars`") from error
        frame = polars.from_arrow(self.to_arrow())
        assert isinstance(frame, polars.DataFrame)
        return frame

    def to_dicts(self) -> list[dict[str, Any]]:
        """All rows as plain dicts."""
        rows: list[dict[str, Any]] = self.to_arrow().to_pylist()
        return rows

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_reader().__arrow_c_stream__(requested_schema)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.to_reader(10_000):
            yield from batch.to_pylist()

    def count(self) -> int:
        """How many rows."""
        with limited():
            return int(self._relation.aggregate("count(*)").fetchall()[0][0])

    def __len__(self) -> int:
        return self.count()

    def limit(self, rows: int) -> "Relation":
        """The first rows only."""
        return Relation(self._relation.limit(rows), self._origin)

    def filter(self, condition: str) -> "Relation":
        """Rows that meet an SQL condition."""
        with limited():
            return Relation(self._relation.filter(condition), self._through(f"SELECT * FROM rows WHERE {condition}"))

    def select(self, *columns: str) -> "Relation":
        """These SQL expressions only."""
        chosen = ", ".join(columns)
        with limited():
            return Relation(self._relation.project(chosen), self._through(f"SELECT {chosen} FROM rows"))

    def __getitem__(self, columns: str | Sequence[str]) -> "Relation":
        """The columns of these names, one or several. Raises InvalidInput for one that it has not."""
        names, known = [columns] if isinstance(columns, str) else list(columns), self.columns
        for name in names:
            if name not in known:
                near = nearest(name, known) if isinstance(name, str) else None
                hint = f"did you mean {near!r}?" if near else f"it has {', '.join(known)}"
                raise InvalidInput(f"there is no column {name!r}; {hint}")
        return self.select(*map(quoted, names))

    def drop(self, *columns: str) -> "Relation":
        """Without the columns of these names."""
        return self[[name for name in self.columns if name not in columns]]

    def show(self, rows: int = 20) -> None:
        """Print the first rows."""
        print(self._relation.limit(rows))

    def _through(self, query: str) -> Callable[[], Origin]:
        return lambda: self._origin().through(query)

    def __repr__(self) -> str:
        return str(self._relation.limit(20))

    def _repr_html_(self) -> str:
        return str(self._relation.limit(50).df().to_html(index=False))


def _each(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    with limited():
        yield from reader
