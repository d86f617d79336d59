"""Tables."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from boathouse import names
from boathouse.catalog import TableInfo, TableSpec
from boathouse.errors import InvalidInput, NotFound, NotPermitted
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.patterns import like
from boathouse.server.unity.altering import Altered, altered
from boathouse.server.unity.columns import arrow_schema, column_infos, partition_columns
from boathouse.server.unity.constraints import constraints
from boathouse.server.unity.files import may_open
from boathouse.server.unity.route import Paged, UnityRoute
from boathouse.server.unity.securable import identifier, metastore_id, millis, seen

router = APIRouter(route_class=UnityRoute)


class NewTable(BaseModel):
    """CreateTable; columns are ColumnInfos."""

    name: str
    catalog_name: str
    schema_name: str
    table_type: str = "MANAGED"
    data_source_format: str = "DELTA"
    columns: list[dict[str, Any]] = Field(default_factory=list)
    storage_location: str | None = None
    comment: str | None = None
    properties: dict[str, str] | None = None


def table_info(info: TableInfo, who: Identity, platform: Platform) -> dict[str, Any]:
    """TableInfo. The location only for who may open the files themselves."""
    name = names.parse(info.name)
    guarded = bool(info.masks or info.row_filter or info.view is not None)
    shown = not guarded and may_open(who, platform, info.location)
    return {
        "name": name.object, "catalog_name": name.catalog, "schema_name": name.schema, "full_name": info.name,
        "table_type": info.table_type, "data_source_format": None if info.view is not None else "DELTA",
        "view_definition": info.view, "columns": column_infos(info),
        "storage_location": info.location if shown else None, "comment": info.description or None,
        "properties": dict(info.tags), "owner": info.owner, "created_at": millis(info.created_at),
        "created_by": info.created_by, "updated_at": millis(info.created_at), "updated_by": info.created_by,
        "table_id": identifier("table", info.name), "metastore_id": metastore_id(platform),
        "row_filter": {"function_name": info.row_filter, "input_column_names": []} if info.row_filter else None,
        "table_constraints": constraints(info),
    }  # fmt: skip


@router.get("/tables")
def list_tables(catalog_name: str, schema_name: str, who: Caller, platform: Served, page: Paged,
                omit_columns: bool = False, omit_properties: bool = False) -> dict[str, Any]:  # fmt: skip
    """Tables of a schema that the caller may read or write."""
    schema = platform.catalog.require("schema", seen(who, platform, "schema", f"{catalog_name}.{schema_name}")).name
    left_out = {"columns"} if omit_columns else set()
    left_out |= {"properties"} if omit_properties else set()

    def shape(info: TableInfo) -> dict[str, Any]:
        return {k: v for k, v in table_info(info, who, platform).items() if k not in left_out}

    def fetch(after: str | None, limit: int) -> list[TableInfo]:
        return platform.catalog.tables(who, schema, limit=limit, after=after)

    return page.read("tables", fetch, lambda t: t.name, shape)


@router.get("/table-summaries")
def summaries(catalog_name: str, who: Caller, platform: Served, page: Paged,
              schema_name_pattern: str = "%", table_name_pattern: str = "%") -> dict[str, Any]:  # fmt: skip
    """Full names and types of a catalog's tables; patterns are SQL's, with % and _."""
    seen(who, platform, "catalog", catalog_name)
    schema, table = like(schema_name_pattern), like(table_name_pattern)

    def wanted(info: TableInfo) -> bool:
        name = names.parse(info.name)
        return bool(name.catalog == catalog_name and schema.fullmatch(name.schema) and table.fullmatch(name.object))

    found = [info for info in platform.catalog.tables(who) if wanted(info)]
    return page.of("tables", found, lambda t: t.name, lambda t: {"full_name": t.name, "table_type": t.table_type})


@router.post("/tables")
def create_table(body: NewTable, who: Caller, platform: Served) -> dict[str, Any]:
    """A new Delta table: managed, or EXTERNAL at a place inside an external location; needs CREATE TABLE in a schema there is."""
    schema = f"{body.catalog_name}.{body.schema_name}"
    external = bool(body.storage_location)
    if body.table_type.upper() != ("EXTERNAL" if external else "MANAGED"):
        raise InvalidInput("an EXTERNAL table has a storage_location, and a MANAGED one leaves it to the catalog")
    if body.data_source_format.upper() not in ("DELTA", "DATA_SOURCE_FORMAT_UNSPECIFIED"):
        raise InvalidInput(f"tables are Delta tables here, not {body.data_source_format}")
    if not body.columns and not external:
        raise InvalidInput(f"{schema}.{body.name} needs columns")
    platform.access.authorize(who, "CREATE TABLE", "schema", schema)
    platform.catalog.require("schema", schema)
    columns = arrow_schema(body.columns) if body.columns else None  # as the table that lies there has them
    spec = TableSpec(
        f"{schema}.{body.name}", columns, partition_by=partition_columns(body.columns), description=body.comment or "",
        tags=body.properties or {}, column_comments=_comments(body.columns), constraints=_not_null(body.columns),
        location=body.storage_location,
    )  # fmt: skip
    return table_info(platform.catalog.create_table(who, spec), who, platform)


def _comments(columns: list[dict[str, Any]]) -> Mapping[str, str]:
    return {str(c["name"]): str(c["comment"]) for c in columns if c.get("comment")}


def _not_null(columns: list[dict[str, Any]]) -> Mapping[str, str]:
    required = [str(c["name"]) for c in columns if c.get("nullable") is False]
    return {f"{name}_not_null": f"`{name}` IS NOT NULL" for name in required}


@router.get("/tables/{full_name}")
def get_table(full_name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """One table."""
    return table_info(platform.catalog.table(seen(who, platform, "table", full_name)), who, platform)


@router.get("/tables/{full_name}/exists")
def table_exists(full_name: str, who: Caller, platform: Served) -> dict[str, bool]:
    """Whether a table of that name is there that the caller may see."""
    try:
        name = str(names.parse(full_name))
        found = platform.catalog.visible(who, "table", name) and bool(platform.catalog.table(name))
    except (NotFound, NotPermitted):
        found = False
    return {"table_exists": found}


@router.patch("/tables/{full_name}")
def update_table(full_name: str, body: Altered, who: Caller, platform: Served) -> dict[str, Any]:
    """Change owner or comment; needs MANAGE."""
    return table_info(platform.catalog.table(altered(who, platform, "table", full_name, body).name), who, platform)


@router.delete("/tables/{full_name}")
def delete_table(full_name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """Remove a table and its files; needs MANAGE."""
    platform.catalog.drop_table(who, seen(who, platform, "table", full_name))
    return {}
