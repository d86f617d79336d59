"""Delta Sharing's routes: lists, versions, metadata, files and changes of tables, for a recipient's token."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from boathouse import clock
from boathouse.catalog import SharedTable, TableInfo
from boathouse.errors import InvalidInput
from boathouse.server.sharing.offers import Offer, OfferedFile, limited
from boathouse.server.sharing.predicates import condition
from boathouse.server.sharing.route import Paged, SharingRoute, lines
from boathouse.server.sharing.visit import Visit, Visitor

PREFIX = "/delta-sharing"
router = APIRouter(prefix=PREFIX, tags=["delta-sharing"], route_class=SharingRoute)
_TABLE = "/shares/{share}/schemas/{schema}/tables/{table}"


class Query(BaseModel):
    """What is asked of a table: hints that leave out files, and which version."""

    predicate_hints: list[str] = Field(default_factory=list, alias="predicateHints")
    json_predicate_hints: str | None = Field(None, alias="jsonPredicateHints")
    limit_hint: int | None = Field(None, alias="limitHint", ge=0)
    version: int | None = Field(None, ge=0)
    timestamp: str | None = None


@router.get("/shares")
def shares(visitor: Visitor, page: Paged) -> dict[str, Any]:
    """The share that the token opens."""
    return page.of([{"name": visitor.recipient.share, "id": visitor.recipient.share}])


@router.get("/shares/{share}")
def share(share: str, visitor: Visitor) -> dict[str, Any]:
    """The share, if it is the token's."""
    return {"share": {"name": visitor.share(share), "id": share}}


@router.get("/shares/{share}/schemas")
def schemas(share: str, visitor: Visitor, page: Paged) -> dict[str, Any]:
    """Schemas with a table that the recipient may read."""
    found = sorted({t.shared_as.partition(".")[0] for t in visitor.tables(share)})
    return page.of([{"name": name, "share": share} for name in found])


@router.get("/shares/{share}/schemas/{schema}/tables")
def tables(share: str, schema: str, visitor: Visitor, page: Paged) -> dict[str, Any]:
    """Tables of a schema that the recipient may read."""
    return page.of([_listed(t) for t in visitor.tables(share, schema)])


@router.get("/shares/{share}/all-tables")
def all_tables(share: str, visitor: Visitor, page: Paged) -> dict[str, Any]:
    """Tables of the share that the recipient may read."""
    return page.of([_listed(t) for t in visitor.tables(share)])


@router.get(_TABLE + "/version")
def version(share: str, schema: str, table: str, visitor: Visitor, startingTimestamp: str | None = None) -> Response:
    """The newest version, or the first at a time or after it, in the header Delta-Table-Version."""
    info = visitor.table(share, schema, table)
    return lines(visitor.offers.version(info, _moment(startingTimestamp)), [])


@router.get(_TABLE + "/metadata")
def metadata(share: str, schema: str, table: str, visitor: Visitor) -> Response:
    """Protocol and schema of the newest version."""
    offer = visitor.offers.snapshot(visitor.identity, visitor.table(share, schema, table))
    return lines(offer.version, [_PROTOCOL, _metadata(offer)])


@router.post(_TABLE + "/query")
def query(share: str, schema: str, table: str, body: Query, visitor: Visitor) -> Response:
    """The files of a version, as links that hold for an hour."""
    info = visitor.table(share, schema, table)
    if body.version is not None and body.timestamp is not None:
        raise InvalidInput("ask for a version or for a timestamp, not for both")
    where = condition(body.predicate_hints, body.json_predicate_hints)
    offer = visitor.offers.snapshot(visitor.identity, info, body.version, _moment(body.timestamp), where)
    files = limited(offer.files, None if where else body.limit_hint)
    visitor.tell(info, "read shared table", offer.version, len(files))
    return lines(offer.version, [_PROTOCOL, _metadata(offer), *({"file": _file(visitor, info, f)} for f in files)])


@router.get(_TABLE + "/changes")
def changes(share: str, schema: str, table: str, visitor: Visitor, startingVersion: int | None = None,
            startingTimestamp: str | None = None, endingVersion: int | None = None,
            endingTimestamp: str | None = None) -> Response:  # fmt: skip
    """Change rows between two versions or times, both included."""
    info = visitor.table(share, schema, table)
    newest = visitor.offers.version(info)
    since = _moment(startingTimestamp)
    first = visitor.offers.version(info, since) if startingVersion is None and since else startingVersion
    if first is None:
        raise InvalidInput("say from where: startingVersion or startingTimestamp")
    last = newest if endingVersion is None else endingVersion
    if (until := _moment(endingTimestamp)) and endingVersion is None:
        last = visitor.platform.catalog.folder(info).table(timestamp=until).version()
    if not 0 <= first <= last <= newest:
        raise InvalidInput(f"versions {first} to {last} are no part of {schema}.{table}, whose newest version is {newest}")
    found = visitor.offers.changes(info, first, last)
    visitor.tell(info, "read shared changes", last, len(found))
    rows = [{"cdf": _file(visitor, info, c.file) | {"version": c.version, "timestamp": c.millis}} for c in found]
    offer = visitor.offers.snapshot(visitor.identity, info)
    return lines(newest, [_PROTOCOL, _metadata(offer), *rows])


_PROTOCOL = {"protocol": {"minReaderVersion": 1}}


def _listed(table: SharedTable) -> dict[str, Any]:
    schema, _, name = table.shared_as.partition(".")
    where = {"schema": schema, "share": table.share, "shareId": table.share}
    return {"name": name, **where, "id": f"{table.share}.{table.shared_as}"}


def _metadata(offer: Offer) -> dict[str, Any]:
    return {"metaData": {
        "id": offer.table_id, "format": {"provider": "parquet"}, "schemaString": offer.schema,
        "partitionColumns": list(offer.partitions), "version": offer.version, "configuration": {"enableChangeDataFeed": "true"},
        "size": sum(f.size for f in offer.files), "numFiles": len(offer.files),
    }}  # fmt: skip


def _file(visitor: Visit, info: TableInfo, file: OfferedFile) -> dict[str, Any]:
    url, expires = visitor.link(info, file)
    told = {"url": url, "id": file.file, "partitionValues": file.partition, "size": file.size, "expirationTimestamp": expires}
    return {**told, "stats": file.stats} if file.stats else told


def _moment(text: str | None) -> datetime | None:
    try:
        return clock.parse_instant(text) if text else None
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no time: write 2026-01-31T00:00:00Z") from error
