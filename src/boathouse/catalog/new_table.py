"""A table's files and its row: placed in the environment's storage or found outside, written and read back."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from boathouse import names
from boathouse.catalog.access import AccessControl
from boathouse.catalog.places import Places
from boathouse.catalog.spec import TableSpec
from boathouse.catalog.values import Column, TableInfo
from boathouse.errors import Conflict, InvalidInput, NotFound, NotPermitted, SchemaMismatch
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder, column_types, normalised


def new_table(places: Places, access: AccessControl, identity: Identity, spec: TableSpec) -> tuple[TableSpec, dict[str, Any]]:
    """Makes the files, or finds them at an external location; the table as it is then, and its properties.

    Raises InvalidInput, NotPermitted, NotFound, Conflict and SchemaMismatch.
    """
    if spec.location is None:
        spec.check()
        name = names.parse(spec.name)
        location, table_type = f"{name.schema}/{name.object}", "MANAGED" if spec.view is None else "VIEW"
        if spec.view is None:
            _make(DeltaFolder(*_at(places, spec.name, location)), spec)
    else:
        location, table_type = places.outside(spec.location), "EXTERNAL"
        _authorize(places, access, identity, location)
        places.check_free(location)
        places.check_same(location)
        spec = _found(DeltaFolder(*_at(places, spec.name, location)), spec)
    return spec, {
        "location": location, "table_type": table_type, "columns": columns_of(spec), "primary_keys": list(spec.primary_keys),
        "event_time": spec.event_time, "known_time": spec.known_time,
        "partition_by": list(spec.partition_by), "tags": dict(spec.tags), "masks": {}, "row_filter": None,
        "view": spec.view, "expectations": {n: dict(e) for n, e in spec.expectations.items()}, "freshness": spec.freshness,
    }  # fmt: skip


def columns_of(spec: TableSpec) -> list[dict[str, str]]:
    """The columns as the catalog keeps them."""
    types = column_types(normalised(spec.schema))
    return [{"name": n, "type": t, "comment": spec.column_comments.get(n, "")} for n, t in types]


def _at(places: Places, name: str, location: str) -> tuple[str, str, Any]:
    place = places.at(name, location)
    return place.url, name, place.options


def _make(folder: DeltaFolder, spec: TableSpec) -> None:
    required = [*spec.primary_keys, *([spec.known_time] if spec.known_time else [])]
    if folder.exists():  # a crash may have left it without its row
        if folder.table().file_uris():
            raise Conflict(
                f"rows of a former {spec.name} lie at {folder.location}; move that folder away, then make the table"
            )
        folder.remove()
    _create(folder, spec, required)


def _create(folder: DeltaFolder, spec: TableSpec, required: Sequence[str]) -> None:
    folder.create(
        spec.schema, spec.partition_by, spec.description, spec.constraints, required, spec.properties, spec.column_comments
    )


def _authorize(places: Places, access: AccessControl, identity: Identity, url: str) -> None:
    nowhere = f"{url} lies in no external location that you may use; an admin can make one: `boathouse locations create NAME URL`"
    location = places.covering(url)
    if location is None:
        raise InvalidInput(nowhere)
    try:
        access.authorize(identity, "CREATE EXTERNAL TABLE", "external_location", location)
    except NotPermitted:
        if access.sees(identity, "external_location", location):
            raise
        raise InvalidInput(nowhere) from None  # whose name the caller may not know


def _found(folder: DeltaFolder, spec: TableSpec) -> TableSpec:
    """The Delta table that lies there, or a new one where nothing lies."""
    if not folder.exists():
        if spec.schema is None:
            raise NotFound(f"no Delta table lies at {folder.location}; give columns to make one there")
        if not folder.is_empty():
            raise Conflict(f"{folder.location} holds files that are no Delta table; choose an empty place")
        spec.check()
        required = [*spec.primary_keys, *([spec.known_time] if spec.known_time else [])]
        _create(folder, spec, required)
        return spec
    table, schema = folder.table(), folder.schema()
    _check_schema(spec, schema)
    about = table.metadata()
    found = replace(
        spec, schema=schema, partition_by=tuple(about.partition_columns), description=spec.description or about.description or ""
    )
    found.check()
    return found


def _check_schema(spec: TableSpec, schema: pa.Schema) -> None:
    if spec.schema is None:
        return
    wanted, there = column_types(normalised(spec.schema)), column_types(normalised(schema))
    if dict(wanted) != dict(there):
        raise SchemaMismatch(f"the table at {spec.location} has the columns {dict(there)}, not {dict(wanted)}")


def table_of(places: Places, row: Any) -> TableInfo:
    """A table as the catalog's row keeps it."""
    kept = row["properties"]
    return TableInfo(
        name=row["name"], location=places.at(row["name"], kept["location"]).url,
        columns=tuple(Column(**c) for c in kept["columns"]), owner=row["owner"], primary_keys=tuple(kept["primary_keys"]),
        event_time=kept["event_time"], known_time=kept["known_time"], partition_by=tuple(kept["partition_by"]),
        description=row["comment"], tags=kept["tags"], created_at=row["created_at"], created_by=row["created_by"],
        masks=kept.get("masks") or {}, row_filter=kept.get("row_filter"), table_type=kept.get("table_type") or "MANAGED",
        view=kept.get("view"), expectations=kept.get("expectations") or {}, freshness=kept.get("freshness"),
    )  # fmt: skip
