"""Rows completed by a feature spec, as SQL and as Spark frames: training sets, and batches to be scored."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from boathouse.errors import InvalidInput, NotFound
from boathouse.features.as_of_frames import as_of_join_frame
from boathouse.features.as_of_search import as_of_search
from boathouse.features.point_in_time import AsOf, FeatureSide, as_of_join_sql
from boathouse.features.specs import FeatureSpec, TableLookup

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql.connect.dataframe import DataFrame


def training_set_sql(spec: FeatureSpec, spine_sql: str, relations: Mapping[str, str]) -> str:
    """The training set: the spine's columns with the labels, then features, without excluded columns.

    Where the spec has functions, their inputs are there too, even excluded ones, and their outputs are
    still to be computed; `spec.training_columns` is the final selection. `relations` gives the SQL of each
    table by its name. Raises NotFound for a table that `relations` lacks.
    """
    keep = _kept(spec)
    return as_of_join_sql(spine_sql, _joins(spec, relations, keep), keep)


def training_set_search(
    con: "duckdb.DuckDBPyConnection", spec: FeatureSpec, spine_sql: str, relations: Mapping[str, str], rows: int
) -> pa.RecordBatchReader | None:
    """The rows of `training_set_sql`, in batches of so many, where `as_of_search` gives them; None where that query does."""
    keep = _kept(spec)
    return as_of_search(con, spine_sql, _joins(spec, relations, keep), keep, rows)


def training_set_frame(spec: FeatureSpec, spine: "DataFrame", tables: Mapping[str, "DataFrame"]) -> "DataFrame":
    """What `training_set_sql` gives, on a cluster: `tables` are Spark frames by the tables' names."""
    keep = _kept(spec)
    return as_of_join_frame(spine, _joins(spec, _by_name(tables), keep), tables, keep)


def complete_sql(
    spec: FeatureSpec, rows_sql: str, relations: Mapping[str, str], columns: Sequence[str] | None = None
) -> str:
    """Every column of the rows, then the looked-up features that they lack, point in time.

    `columns` are those of the rows: a feature among them is not looked up, so that the given values
    override the stored ones, and keys of lookups that are not made may be absent. Without `columns` every
    feature is looked up, and one that the rows bring too is an error of the binder.
    Raises InvalidInput naming a column that the rows need, NotFound for a table that `relations` lacks.
    """
    if columns is None:
        return as_of_join_sql(rows_sql, _joins(spec, relations, ()))
    return as_of_join_sql(rows_sql, _joins(_remaining(spec, columns), relations, ()), columns)


def complete_search(
    con: "duckdb.DuckDBPyConnection", spec: FeatureSpec, rows_sql: str, relations: Mapping[str, str], columns: Sequence[str],
    rows: int,
) -> pa.RecordBatchReader | None:  # fmt: skip
    """The rows of `complete_sql`, in batches of so many, where `as_of_search` gives them; None where that query does."""
    return as_of_search(con, rows_sql, _joins(_remaining(spec, columns), relations, ()), columns, rows)


def complete_frame(spec: FeatureSpec, rows: "DataFrame", tables: Mapping[str, "DataFrame"]) -> "DataFrame":
    """What `complete_sql` gives, on a cluster: `tables` are Spark frames by the tables' names."""
    remaining = _remaining(spec, rows.columns)
    return as_of_join_frame(rows, _joins(remaining, _by_name(tables), ()), tables, rows.columns)


def _kept(spec: FeatureSpec) -> list[str]:
    bound = {name for function in spec.functions for name in function.input_bindings.values()}
    return [*spec.spine, *(name for name in spec.spine_inputs if name in bound and name not in spec.spine)]


def _remaining(spec: FeatureSpec, columns: Sequence[str]) -> FeatureSpec:
    remaining = spec.without(columns)
    for name in remaining.spine_inputs:
        if name not in columns:
            raise InvalidInput(
                f"the rows lack {name!r}; they have {', '.join(columns)}, "
                f"and completing them takes {', '.join(remaining.spine_inputs)}"
            )
    return remaining


def _by_name(tables: Mapping[str, object]) -> dict[str, str]:
    return {name: name for name in tables}


def joins_of(spec: FeatureSpec, relations: Mapping[str, str]) -> list[AsOf]:
    """The spec's lookups as joins, in their order. Raises NotFound for a table that `relations` lacks."""
    return [_join(lookup, relations) for lookup in spec.lookups()]


def _joins(spec: FeatureSpec, relations: Mapping[str, str], given: Collection[str]) -> list[AsOf]:
    return joins_of(spec.without(given), relations)


def _join(lookup: TableLookup, relations: Mapping[str, str]) -> AsOf:
    table = lookup.table
    if table.name not in relations:
        raise NotFound(f"the feature table {table.name} was not opened: give its relation")
    side = FeatureSide(relations[table.name], table.keys, table.event_time, table.known_time)
    return AsOf(side, lookup.on, lookup.at, lookup.columns, lookup.lookback, lookup.defaults)
