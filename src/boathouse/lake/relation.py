"""A lazy result: nothing is read until rows are asked for."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from boathouse.errors import MissingExtra

if TYPE_CHECKING:
    import duckdb
    import pandas
    import polars


class Relation:
    """Rows and columns of a query; hands itself to Polars, pandas, PyArrow and whatever speaks Arrow."""

    def __init__(self, relation: "duckdb.DuckDBPyRelation") -> None:
        self._relation = relation

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
        return self._relation.to_arrow_table()

    def to_pandas(self) -> "pandas.DataFrame":
        """All rows as a pandas frame."""
        frame: pandas.DataFrame = self.to_arrow().to_pandas()
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
        return self._relation.to_arrow_reader(100_000).__arrow_c_stream__(requested_schema)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self._relation.to_arrow_reader(10_000):
            yield from batch.to_pylist()

    def count(self) -> int:
        """How many rows."""
        return int(self._relation.aggregate("count(*)").fetchall()[0][0])

    def __len__(self) -> int:
        return self.count()

    def limit(self, rows: int) -> "Relation":
        """The first rows only."""
        return Relation(self._relation.limit(rows))

    def filter(self, condition: str) -> "Relation":
        """Rows that meet an SQL condition."""
        return Relation(self._relation.filter(condition))

    def select(self, *columns: str) -> "Relation":
        """These SQL expressions only."""
        return Relation(self._relation.project(", ".join(columns)))

    def __repr__(self) -> str:
        return str(self._relation.limit(20))

    def _repr_html_(self) -> str:
        return str(self._relation.limit(50).df().to_html(index=False))
