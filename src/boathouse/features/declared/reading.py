"""Rows of the sources of declared features, as SQL on the caller's engine, within what the caller was granted."""

import re
from collections.abc import Mapping, Sequence

import duckdb

from boathouse.catalog import check_rowwise
from boathouse.context import Context
from boathouse.errors import InvalidInput
from boathouse.features.data_types import family
from boathouse.features.declared.feature import Feature
from boathouse.features.declared.sources import DataFrameSource, DeltaTableSource
from boathouse.features.point_in_time import quote
from boathouse.lake import Engine, batches, normalised, origin_of, tagged
from boathouse.names import nearest

_ROWS = "source_rows"
_NO_NUMBERS = ("VARCHAR", "BLOB", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")


def grouped(features: Sequence[Feature]) -> list[list[Feature]]:
    """Features that are computed together: of one source, entity and time."""
    groups: dict[object, list[Feature]] = {}
    for feature in features:
        source = feature.source
        key = (repr(source) if isinstance(source, DeltaTableSource) else id(source), feature.entity, feature.timeseries_column)
        groups.setdefault(key, []).append(feature)
    return list(groups.values())


def source_sql(context: Context, feature: Feature, where: str | None = None) -> str:
    """The rows of a feature's source. Files without a row for `where`, on the time column, may be left out.

    Raises NotFound, NotPermitted, InvalidInput for a condition or transformation that reads more than its row.
    """
    source = feature.source
    if isinstance(source, DataFrameSource):
        rows = batches(source.dataframe).read_all()
        return context.engine.register(tagged(rows.cast(normalised(rows.schema)), origin_of(source.dataframe)))
    assert isinstance(source, DeltaTableSource)
    table = context.table(source.full_name)
    return shaped(context.engine, feature, table.scan(where=where if _is_column(feature) else None))


def shaped(engine: Engine, feature: Feature, relation: str) -> str:
    """Rows of a source's table, filtered and transformed as the source says."""
    source = feature.source
    if not isinstance(source, DeltaTableSource) or not (source.transformation_sql or source.filter_condition):
        return relation
    columns = source.transformation_sql or "*"
    condition = f" WHERE ({source.filter_condition}\n)" if source.filter_condition else ""
    _check(engine, f"SELECT {columns}\nFROM {_ROWS}{condition}", feature)
    return f"(SELECT {columns}\nFROM {relation} AS {_ROWS}{condition})"


def check_columns(engine: Engine, features: Sequence[Feature], relation: str) -> Mapping[str, str]:
    """The source's columns with their types. Raises InvalidInput naming one that it has not, or of a type that does not fit."""
    try:
        columns = engine.relation(f"SELECT * FROM {relation} LIMIT 0").types
    except InvalidInput as error:  # a condition or transformation names what is not there
        raise InvalidInput(f"the source of {features[0].name} cannot be read: {error}") from error
    for feature in features:
        kind = columns.get(feature.operator.input or "", "")
        if feature.operator.numbers and (kind in _NO_NUMBERS or kind.endswith("]") or kind.startswith(("STRUCT", "MAP"))):
            raise InvalidInput(f"{feature.name}: {feature.operator.kind} takes numbers, and {feature.operator.input!r} is {kind}")
        for name in (*feature.entity, feature.timeseries_column, feature.operator.input):
            if name is not None and name not in columns:
                near = nearest(name, columns)
                hint = f"did you mean {near!r}?" if near else f"it has {', '.join(columns)}"
                raise InvalidInput(f"{feature.name}: the source has no column {name!r}; {hint}")
        time = feature.timeseries_column
        if time is not None and family(columns[time]) != "time":
            raise InvalidInput(f"{feature.name}: the source's time {time!r} is {columns[time]}: give a timestamp, or cast it to "
                               "one in transformation_sql")  # fmt: skip
    return columns


def check_keys(feature: Feature, source: Mapping[str, str], rows: Mapping[str, str]) -> None:
    """Raises InvalidInput naming a key or time that has another kind of type in the rows than in the source."""
    for name in (*feature.entity, feature.timeseries_column):
        if name is not None and family(source[name]) != family(rows[name]):
            raise InvalidInput(f"{feature.name}: {name!r} is {rows[name]} in the rows and {source[name]} in the source: cast it")


def within(feature: Feature, intervals: Sequence[tuple[int | None, int | None]]) -> str | None:
    """A condition on the source's time that names these stretches, both ends in; None where one has no start."""
    if feature.timeseries_column is None:
        return None
    column, parts = quote(feature.timeseries_column), []
    for low, high in intervals:
        ends = ((">=", low), ("<=", high))
        bounds = [f"{column} {sign} '{_text(end)}'::TIMESTAMPTZ" for sign, end in ends if end is not None]
        if not bounds:
            return None
        parts.append(f"({' AND '.join(bounds)})")
    return " OR ".join(parts) or None


def _text(microseconds: int) -> str:
    found = duckdb.execute("SELECT strftime(make_timestamp(?), '%Y-%m-%d %H:%M:%S.%f+00')", [microseconds]).fetchall()
    return str(found[0][0])


def _is_column(feature: Feature) -> bool:
    """Whether the feature's time is a column of the table as it is."""
    source, time = feature.source, feature.timeseries_column
    transformed = source.transformation_sql if isinstance(source, DeltaTableSource) else None
    if time is None or not transformed:
        return time is not None
    star, _, rest = transformed.strip().partition(",")
    return star.strip() == "*" and not re.search(rf"\b{re.escape(time)}\b", rest, re.IGNORECASE)


def _check(engine: Engine, query: str, feature: Feature) -> None:
    try:
        with engine.connection.cursor() as parser:
            kinds = [str(s.type).rpartition(".")[2] for s in parser.extract_statements(query)]
            [(tree,)] = parser.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
        check_rowwise(str(tree).encode(), kinds, _ROWS)
    except (duckdb.Error, InvalidInput) as error:
        raise InvalidInput(f"the source of {feature.name} cannot be read: {str(error).splitlines()[0]}") from error
