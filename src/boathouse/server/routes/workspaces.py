"""Workspaces: a person's own branch of a project, which `boathouse sync` keeps alike with a folder elsewhere."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import IO, Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.upload import taken_in

router = APIRouter(prefix="/api/v1/projects/{name}/workspace", tags=["code"])
_PIECE = 1 << 20


class Wanted(BaseModel):
    """A commit that a folder wants, and commits that it has."""

    commit: str
    have: list[str] = Field(default=[], max_length=1000)


@router.get("")
def workspace(name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """Where the caller's workspace of a project stands; needs DEPLOY in dev."""
    _authorize(who, platform)
    return asdict(platform.workspaces.of(who, name))


@router.post("/pack")
def pack(name: str, body: Wanted, who: Caller, platform: Served) -> StreamingResponse:
    """The Git pack of what a folder lacks of the caller's workspace, or of main; needs DEPLOY in dev."""
    _authorize(who, platform)
    packed = platform.workspaces.packed(who, name, body.commit, body.have)
    return StreamingResponse(_pieces(packed), media_type="application/octet-stream")


@router.put("")
async def move(name: str, head: str, who: Caller, platform: Served, request: Request,
               expected: str | None = None) -> dict[str, Any]:  # fmt: skip
    """Move the caller's workspace on to a commit, whose Git pack is the body; needs DEPLOY in dev."""
    moved = await taken_in(request.stream(), lambda pieces: _move(platform, who, name, head, expected, pieces))
    return asdict(moved)


def _move(platform: Platform, who: Identity, name: str, head: str, expected: str | None, pieces: Iterator[bytes]) -> Any:
    _authorize(who, platform)
    return platform.workspaces.push(who, name, head, expected, pieces)


def _authorize(who: Identity, platform: Platform) -> None:
    """Pass whoever may run code in dev, and may see all projects' code there. Raises NotPermitted."""
    platform.access.authorize(who, "DEPLOY", "catalog", "dev")


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(_PIECE):
            yield piece
