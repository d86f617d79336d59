"""Columns and their types: by SQL name, as DDL text, as Arrow knows them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from boathouse.errors import InvalidInput

if TYPE_CHECKING:
    from sqlglot import exp

TIMESTAMP = pa.timestamp("us", tz="UTC")
_BY_NAME = {
    "string": pa.string(), "varchar": pa.string(), "text": pa.string(),
    "int": pa.int32(), "integer": pa.int32(), "bigint": pa.int64(), "long": pa.int64(), "smallint": pa.int16(),
    "short": pa.int16(), "tinyint": pa.int8(), "byte": pa.int8(),
    "double": pa.float64(), "float": pa.float32(), "boolean": pa.bool_(), "bool": pa.bool_(),
    "date": pa.date32(), "timestamp": TIMESTAMP, "timestamp_ntz": TIMESTAMP, "binary": pa.binary(),
}  # fmt: skip


def schema_named(source: Any) -> pa.Schema | None:
    """A schema given as Arrow's, Polars' or Spark's, as `{column: type name}`, or as DDL such as `place STRING, tax DOUBLE`.

    None for what is none of these, such as a frame. Raises InvalidInput for an unknown type.
    """
    if isinstance(source, pa.Schema):
        return source
    if isinstance(source, Mapping) and source and all(isinstance(v, str) for v in source.values()):
        return pa.schema([(name, type_named(kind)) for name, kind in source.items()])
    if isinstance(source, str):
        return _from_ddl(source)
    if type(source).__module__ == "polars.schema":
        import polars

        return polars.DataFrame(schema=source).to_arrow().schema
    if type(source).__module__.startswith("pyspark.sql.types") and hasattr(source, "fields"):
        return pa.schema([(f.name, type_named(f.dataType.simpleString())) for f in source.fields])
    return None


def type_named(kind: str) -> pa.DataType:
    """The Arrow type of an SQL type name. Raises InvalidInput."""
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    if known := _BY_NAME.get(kind.strip().lower()):
        return known
    try:
        return _arrow(exp.DataType.build(kind, dialect="spark"), kind)
    except SqlglotError as error:
        raise _unknown(kind) from error


def _from_ddl(text: str) -> pa.Schema:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(f"CREATE TABLE t ({text})", dialect="spark").this
        columns = [c for c in tree.expressions if isinstance(c, exp.ColumnDef)]
    except (SqlglotError, AttributeError) as error:
        raise InvalidInput(f"{text!r} is no schema; write columns and types, as in `place STRING, tax DOUBLE`") from error
    if not columns or any(c.kind is None for c in columns):
        raise InvalidInput(f"{text!r} is no schema; write columns and types, as in `place STRING, tax DOUBLE`")
    return pa.schema([(c.name, _arrow(c.kind, c.kind.sql("spark"))) for c in columns])


def _arrow(kind: "exp.DataType", said: str) -> pa.DataType:
    from sqlglot import exp

    parts = kind.expressions
    if kind.is_type("array", "list"):
        return pa.list_(_arrow(parts[0], said))
    if kind.is_type("map"):
        return pa.map_(_arrow(parts[0], said), _arrow(parts[1], said))
    if kind.is_type("struct") and all(isinstance(p, exp.ColumnDef) for p in parts):
        return pa.struct([(p.name, _arrow(p.args["kind"], said)) for p in parts])
    if kind.is_type("decimal") and parts:
        return _decimal([p.name for p in parts], said)
    name = kind.this.value.lower()
    names = {"timestamptz": "timestamp", "timestampltz": "timestamp", "timestampntz": "timestamp", "char": "string"}
    if known := _BY_NAME.get(names.get(name, name)):
        return known
    raise _unknown(said)


def _decimal(sides: list[str], said: str) -> pa.DataType:
    try:
        precision, scale = (*sides, "0")[:2]
        return pa.decimal128(int(precision), int(scale))
    except ValueError as error:  # Arrow's own errors are ValueErrors too
        raise InvalidInput(f"{said!r} is no column type; write decimal(precision,scale), at most 38 digits") from error


def _unknown(said: str) -> InvalidInput:
    return InvalidInput(f"{said!r} is no column type; use one of {', '.join(sorted(_BY_NAME))}, array<…>, map<…>, struct<…>")


def column_types(schema: pa.Schema) -> list[tuple[str, str]]:
    """(column, SQL type name) in order."""
    return [(field.name, sql_type(field.type)) for field in schema]


def sql_type(kind: pa.DataType) -> str:
    """The SQL type name of an Arrow type, as tables show it."""
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"array<{sql_type(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return "struct<" + ",".join(f"{f.name}:{sql_type(f.type)}" for f in kind) + ">"
    if pa.types.is_map(kind):
        return f"map<{sql_type(kind.key_type)},{sql_type(kind.item_type)}>"
    names = {"int64": "bigint", "int32": "int", "int16": "smallint", "int8": "tinyint", "bool": "boolean",
             "date32[day]": "date", "large_string": "string", "string_view": "string"}  # fmt: skip
    return names.get(str(kind), str(kind))
