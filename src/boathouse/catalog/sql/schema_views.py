"""`information_schema`, made for each caller: the schemas, tables, columns and views that the caller may see."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from boathouse import names
from boathouse.catalog.service import Catalog
from boathouse.catalog.values import TableInfo
from boathouse.errors import NotFound
from boathouse.identity import Identity

SCHEMA = "information_schema"
_TABLE = ("table_catalog", "table_schema", "table_name")


def schema_view(catalog: Catalog, identity: Identity, environment: str, name: str) -> bytes:
    """One of its views over an environment, as an Arrow stream. Raises NotFound for another name."""
    make = _VIEWS.get(name.lower())
    if make is None:
        raise NotFound(f"{SCHEMA} has no {name}; it has {', '.join(sorted(_VIEWS))}")
    rows = make(catalog, identity, environment)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def _rows(columns: Sequence[str], rows: list[tuple[Any, ...]]) -> pa.Table:
    kinds = {"ordinal_position": pa.int32(), "created": pa.timestamp("us", "UTC")}
    fields = [pa.field(c, kinds.get(c, pa.string())) for c in columns]
    values = zip(*rows, strict=True) if rows else [()] * len(columns)
    return pa.Table.from_arrays([pa.array(v, f.type) for v, f in zip(values, fields, strict=True)], schema=pa.schema(fields))


def _seen(catalog: Catalog, identity: Identity, environment: str) -> list[tuple[names.Name, TableInfo]]:
    return [(names.parse(t.name), t) for t in catalog.tables(identity, catalog=environment)]


def _schemata(catalog: Catalog, identity: Identity, environment: str) -> pa.Table:
    found = [s for s in catalog.securables("schema", parent=environment) if catalog.visible(identity, "schema", s.name)]
    rows = [(environment, s.name.partition(".")[2], s.owner, s.comment) for s in found]
    return _rows(("catalog_name", "schema_name", "schema_owner", "comment"), rows)


def _tables(catalog: Catalog, identity: Identity, environment: str) -> pa.Table:
    rows = [
        (n.catalog, n.schema, n.object, t.table_type, t.owner, t.description, t.created_at, t.created_by)
        for n, t in _seen(catalog, identity, environment)
    ]
    head = (*_TABLE, "table_type", "table_owner", "comment", "created", "created_by")
    return _rows(head, rows)


def _columns(catalog: Catalog, identity: Identity, environment: str) -> pa.Table:
    rows = [
        (n.catalog, n.schema, n.object, c.name, place, "NO" if c.name in t.primary_keys else "YES", c.type, c.comment)
        for n, t in _seen(catalog, identity, environment)
        for place, c in enumerate(t.columns, 1)
    ]
    head = (*_TABLE, "column_name", "ordinal_position", "is_nullable", "data_type", "comment")
    return _rows(head, rows)


def _views(catalog: Catalog, identity: Identity, environment: str) -> pa.Table:
    rows = [(n.catalog, n.schema, n.object, t.view) for n, t in _seen(catalog, identity, environment) if t.view is not None]
    return _rows((*_TABLE, "view_definition"), rows)


_VIEWS: dict[str, Callable[[Catalog, Identity, str], pa.Table]] = {
    "schemata": _schemata, "tables": _tables, "columns": _columns, "views": _views,
}  # fmt: skip
