"""Volumes and their files: listed, put, read whole or by ranges, and removed."""

import mimetypes
import re
from collections.abc import Mapping
from email.utils import format_datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

from boathouse.errors import InvalidInput
from boathouse.lake import FileInfo
from boathouse.server.auth import Caller, Served
from boathouse.server.paging import After, Limit, lead_on
from boathouse.server.upload import taken_in

router = APIRouter(prefix="/api/v1", tags=["volumes"])
_FILE = "/volumes/{name}/files/{path:path}"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_AS_DATA = {
    # what users put here is never a page of ours
    "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin", "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache",
}  # fmt: skip


class NewVolume(BaseModel):
    """A volume to make; with a location it lies there, outside the lakehouse's storage."""

    name: str
    comment: str = ""
    location: str | None = None
    exists_ok: bool = False


class Opening(BaseModel):
    """What a caller wants to do with a volume."""

    privileges: list[str] = ["READ VOLUME"]


@router.get("/volumes")
def volumes(who: Caller, platform: Served, request: Request, response: Response, environment: str | None = None,
            schema: str | None = None, limit: Limit = None, after: After = None) -> list[dict[str, Any]]:  # fmt: skip
    """Volumes the caller may know of."""
    found = platform.volumes.list(who, environment, schema, limit=limit, after=after)
    return [v.to_dict() for v in lead_on(request, response, found, limit, lambda v: v.name)]


@router.post("/volumes")
def create_volume(body: NewVolume, who: Caller, platform: Served) -> dict[str, Any]:
    """A new volume."""
    return platform.volumes.create(who, body.name, body.comment, body.exists_ok, body.location).to_dict()


@router.get("/volumes/{name}")
def volume(name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """A volume."""
    return platform.volumes.get(who, name).to_dict()


@router.delete("/volumes/{name}")
def drop_volume(name: str, who: Caller, platform: Served) -> None:
    """Remove a volume, a managed one with its files."""
    platform.volumes.drop(who, name)


@router.post("/volumes/{name}/open")
def open_volume(name: str, body: Opening, who: Caller, platform: Served) -> dict[str, Any]:
    """How a caller reaches a volume's files: where they lie, or through the server."""
    return platform.volumes.access(who, name, body.privileges).to_dict()


@router.get("/volumes/{name}/files")
def files(name: str, who: Caller, platform: Served, prefix: str = "", after: After = None, recursive: bool = True,
          limit: Annotated[int, Query(ge=1, le=10_000)] = 1000) -> dict[str, Any]:  # fmt: skip
    """A page of the files below a folder of a volume, by path; not recursively, its own files and the folders in it."""
    page = platform.volumes.files(who, name, prefix, after, limit, recursive)
    return {"files": [f.to_dict() for f in page.files], "folders": list(page.folders), "after": page.after}


@router.head(_FILE)
def look_at_file(name: str, path: str, who: Caller, platform: Served) -> Response:
    """Size, time and tag of a file, in the answer's head."""
    info = platform.volumes.stat(who, name, path)
    return Response(headers=_head(info) | {"Content-Length": str(info.size)})


@router.get(_FILE)
def read_file(name: str, path: str, who: Caller, platform: Served, request: Request) -> Response:
    """The bytes of a file; `Range` asks for a part of them, `If-None-Match` only for what is new."""
    info = platform.volumes.stat(who, name, path)
    head = _head(info)
    if request.headers.get("if-none-match", "").strip() == head["ETag"]:
        return Response(status_code=304, headers=head)
    wanted = _wanted(request.headers, info)
    if wanted is None:
        fault = InvalidInput(f"{path} has {info.size} bytes, and none in the range {request.headers['range']}").to_dict()
        return JSONResponse(fault, 416, {"Content-Range": f"bytes */{info.size}"})
    content = platform.volumes.open(who, name, path, *wanted)
    partial = wanted != (0, info.size)
    head = _head(content.info) | {"Content-Length": str(content.end - content.start)}
    if partial:
        head["Content-Range"] = f"bytes {content.start}-{content.end - 1}/{content.info.size}"
    return StreamingResponse(content.chunks, 206 if partial else 200, head)


@router.put(_FILE)
async def put_file(name: str, path: str, who: Caller, platform: Served, request: Request) -> dict[str, Any]:
    """Write a file, or replace it: the body is the file. It is there once all of it is."""
    made = await taken_in(request.stream(), lambda chunks: platform.volumes.put(who, name, path, chunks))
    return made.to_dict()


@router.delete(_FILE)
def remove_file(name: str, path: str, who: Caller, platform: Served, recursive: bool = False) -> dict[str, int]:
    """Delete a file, or all below a folder; how many."""
    return {"files": platform.volumes.remove(who, name, path, recursive)}


def _head(info: FileInfo) -> dict[str, str]:
    file = quote(info.path.rpartition("/")[2], safe="")
    return {
        **_AS_DATA, "ETag": f'"{info.etag}"', "Last-Modified": format_datetime(info.modified_at, usegmt=True),
        "X-Boathouse-Modified-At": info.modified_at.isoformat(),
        "Content-Type": mimetypes.guess_type(info.path)[0] or "application/octet-stream",
        "Content-Disposition": f"attachment; filename*=UTF-8''{file}",
    }  # fmt: skip


def _wanted(headers: Mapping[str, str], info: FileInfo) -> tuple[int, int] | None:
    """The bytes asked for, from and before; None where there are none of them. What is no single range asks for all."""
    asked = _RANGE.fullmatch(headers.get("range", "").strip())
    same = headers.get("if-range", f'"{info.etag}"').strip() == f'"{info.etag}"'
    if asked is None or not same or asked.groups() == ("", ""):
        return 0, info.size
    first, last = asked.groups()
    if not first:
        return (max(info.size - int(last), 0), info.size) if int(last) and info.size else None
    start, end = int(first), int(last) + 1 if last else info.size
    return (start, min(end, info.size)) if start < min(end, info.size) else None
