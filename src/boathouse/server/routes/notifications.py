"""Notifications: who was told of what, and what became of it."""

from typing import Any, Literal

from fastapi import APIRouter

from boathouse.server.auth import Caller, Served
from boathouse.server.paging import Count

router = APIRouter(prefix="/api/v1/notifications", tags=["notifications"])


@router.get("/{environment}")
def notifications(environment: str, who: Caller, platform: Served, state: Literal["WAITING", "SENT", "FAILED"] | None = None,
                  limit: Count = 100) -> list[dict[str, Any]]:  # fmt: skip
    """Notifications of an environment, newest first; needs MANAGE on it."""
    platform.access.authorize(who, "MANAGE", "catalog", environment)
    return platform.notifications.all(environment, state, limit)


@router.post("/{environment}/{number}")
def send_again(environment: str, number: int, who: Caller, platform: Served) -> dict[str, Any]:
    """Send one again, now; needs MANAGE. How it went."""
    platform.access.authorize(who, "MANAGE", "catalog", environment)
    return platform.notifications.again(environment, number)
