"""Where Git hosts tell what happened there."""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from boathouse.errors import InvalidInput
from boathouse.events import check_address
from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1", tags=["code"])
_LARGEST = 25 << 20
"""What GitHub sends at most."""


async def _body(request: Request) -> bytes:
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > _LARGEST:
            raise InvalidInput(f"a delivery has {_LARGEST >> 20} MB at most")
    return bytes(taken)


@router.post("/webhooks/git/{project}")
def receive(project: str, request: Request, body: Annotated[bytes, Depends(_body)], platform: Served) -> dict[str, Any]:
    """A delivery of GitHub or GitLab, which carries the project's secret instead of a token."""
    return platform.git_host.receive(project, request.headers, body)


class Statuses(BaseModel):
    """Where a project's Git host is told of checks; without a token nobody is told."""

    url: str | None = None
    token: str | None = None


@router.put("/projects/{name}/statuses")
def set_statuses(name: str, body: Statuses, who: Caller, platform: Served) -> dict[str, str | None]:
    """Tell a project's Git host of checks as commit statuses; needs MANAGE on prod. The API's address, or null for nobody."""
    platform.access.authorize(who, "MANAGE", "catalog", "prod")
    if body.token and body.url:
        check_address(body.url, platform.settings.switch("webhook_private_addresses"))
    return {"url": platform.remotes.set_statuses(who, name, body.url, body.token)}


@router.put("/projects/{name}/webhook")
def set_webhook(name: str, who: Caller, platform: Served) -> dict[str, str]:
    """A new secret for a project's Git host, shown this once; needs MANAGE on prod."""
    platform.access.authorize(who, "MANAGE", "catalog", "prod")
    platform.projects.ensure(who, name)
    secret = secrets.token_urlsafe(32)
    platform.remotes.set_secret(who, name, secret)
    return {"path": f"/api/v1/webhooks/git/{name}", "secret": secret}
