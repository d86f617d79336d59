"""What a BI tool asks before it asks for rows: catalogs, schemas, tables and keys that the caller may see."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from boathouse import names
from boathouse.catalog import TableInfo
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.flight.protobuf import Fields, flag, strings, text
from boathouse.server.patterns import like
from boathouse.server.unity.columns import arrow_type, spark_type

TYPES = ("TABLE", "VIEW")
CATALOGS = pa.schema([pa.field("catalog_name", pa.string(), nullable=False)])
SCHEMAS = pa.schema([pa.field("catalog_name", pa.string()), pa.field("db_schema_name", pa.string(), nullable=False)])
TABLES = pa.schema([
    pa.field("catalog_name", pa.string()), pa.field("db_schema_name", pa.string()),
    pa.field("table_name", pa.string(), nullable=False), pa.field("table_type", pa.string(), nullable=False),
])  # fmt: skip
TABLES_WITH_SCHEMA = TABLES.append(pa.field("table_schema", pa.binary(), nullable=False))
TABLE_TYPES = pa.schema([pa.field("table_type", pa.string(), nullable=False)])
PRIMARY_KEYS = pa.schema([
    pa.field("catalog_name", pa.string()), pa.field("db_schema_name", pa.string()),
    pa.field("table_name", pa.string(), nullable=False), pa.field("column_name", pa.string(), nullable=False),
    pa.field("key_name", pa.string()), pa.field("key_sequence", pa.int32(), nullable=False),
])  # fmt: skip
FOREIGN_KEYS = pa.schema([
    *(pa.field(f"{side}_{part}", pa.string(), nullable=part.startswith(("catalog", "db")))
      for side in ("pk", "fk") for part in ("catalog_name", "db_schema_name", "table_name", "column_name")),
    pa.field("key_sequence", pa.int32(), nullable=False), pa.field("fk_key_name", pa.string()),
    pa.field("pk_key_name", pa.string()), pa.field("update_rule", pa.uint8(), nullable=False),
    pa.field("delete_rule", pa.uint8(), nullable=False),
])  # fmt: skip

Answer = Callable[[Platform, Identity, Fields], pa.Table]


def _catalogs(platform: Platform, who: Identity, _: Fields) -> pa.Table:
    return _table(CATALOGS, [(c.name,) for c in platform.catalog.listed(who, "catalog")])


def _schemas(platform: Platform, who: Identity, asked: Fields) -> pa.Table:
    wanted = like(text(asked, 2) or "%")
    found = [s.name.split(".", 1) for s in platform.catalog.listed(who, "schema", catalog=text(asked, 1) or None)]
    return _table(SCHEMAS, [(catalog, schema) for catalog, schema in found if wanted.fullmatch(schema)])


def _tables(platform: Platform, who: Identity, asked: Fields) -> pa.Table:
    schemas, tables = like(text(asked, 2) or "%"), like(text(asked, 3) or "%")
    types, schema = set(strings(asked, 4) or TYPES), tables_schema(asked)
    rows: list[tuple[Any, ...]] = []
    for info in platform.catalog.tables(who, catalog=text(asked, 1) or None):
        name = names.parse(info.name)
        kind = "VIEW" if info.view is not None else "TABLE"
        if schemas.fullmatch(name.schema) and tables.fullmatch(name.object) and kind in types:
            rows.append((name.catalog, name.schema, name.object, kind, arrow_schema(info).serialize().to_pybytes()))
    return _table(schema, [row[: len(schema)] for row in rows])


def tables_schema(asked: Fields) -> pa.Schema:
    """The columns of a list of tables, with or without each table's own."""
    return TABLES_WITH_SCHEMA if flag(asked, 5) else TABLES


def arrow_schema(info: TableInfo) -> pa.Schema:
    """A table's columns as the catalog knows them."""
    required = {*info.primary_keys, info.known_time}
    return pa.schema([
        pa.field(c.name, arrow_type(spark_type(c.type)), c.name not in required, {"comment": c.comment} if c.comment else None)
        for c in info.columns
    ])  # fmt: skip


def _table_types(_platform: Platform, _who: Identity, _: Fields) -> pa.Table:
    return _table(TABLE_TYPES, [(kind,) for kind in TYPES])


def _primary_keys(platform: Platform, who: Identity, asked: Fields) -> pa.Table:
    catalog, schema, table = text(asked, 1), text(asked, 2), text(asked, 3) or ""
    rows: list[tuple[Any, ...]] = []
    for info in platform.catalog.tables(who, catalog=catalog or None):
        name = names.parse(info.name)
        if name.object == table and schema in (None, "", name.schema):
            rows += [
                (name.catalog, name.schema, name.object, column, f"{name.object}_pk", place)
                for place, column in enumerate(info.primary_keys, 1)
            ]
    return _table(PRIMARY_KEYS, rows)


def _foreign_keys(_platform: Platform, _who: Identity, _: Fields) -> pa.Table:
    return _table(FOREIGN_KEYS, [])


ANSWERS: Mapping[str, tuple[Answer, Callable[[Fields], pa.Schema]]] = {
    "CommandGetCatalogs": (_catalogs, lambda _: CATALOGS),
    "CommandGetDbSchemas": (_schemas, lambda _: SCHEMAS),
    "CommandGetTables": (_tables, tables_schema),
    "CommandGetTableTypes": (_table_types, lambda _: TABLE_TYPES),
    "CommandGetPrimaryKeys": (_primary_keys, lambda _: PRIMARY_KEYS),
    "CommandGetExportedKeys": (_foreign_keys, lambda _: FOREIGN_KEYS),
    "CommandGetImportedKeys": (_foreign_keys, lambda _: FOREIGN_KEYS),
    "CommandGetCrossReference": (_foreign_keys, lambda _: FOREIGN_KEYS),
}
"""Command -> (how it is answered, the columns of the answer)."""


def _table(schema: pa.Schema, rows: Iterable[Sequence[Any]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(list(c), f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
