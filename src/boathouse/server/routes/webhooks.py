"""Webhooks: who is told of what happens to an environment's models."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.events import SetAside, Webhook
from boathouse.server.auth import Caller, Served
from boathouse.server.paging import Count

router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"])
events = APIRouter(prefix="/api/v1/events", tags=["webhooks"])


class NewWebhook(BaseModel):
    """Where events go, and which: MLflow's names, `model_version.transitioned` for stages, or `*`."""

    url: str
    events: list[str] = ["*"]


@router.get("/{environment}")
def webhooks(environment: str, who: Caller, platform: Served) -> list[Webhook]:
    """The webhooks of an environment; needs MANAGE on it."""
    platform.access.authorize(who, "MANAGE", "catalog", environment)
    return platform.webhooks.all(environment)


@router.post("/{environment}/{name}")
def create(environment: str, name: str, body: NewWebhook, who: Caller, platform: Served) -> dict[str, Any]:
    """A new webhook; its signing `secret` is shown this once. Needs MANAGE."""
    platform.access.authorize(who, "MANAGE", "catalog", environment)
    made, secret = platform.webhooks.create(environment, name, body.url, body.events, who.principal)
    platform.audit.record(who.principal, "create webhook", f"{environment}.{name}", {"url": body.url, "events": body.events})
    return {**made.__dict__, "secret": secret}


@router.delete("/{environment}/{name}")
def delete(environment: str, name: str, who: Caller, platform: Served) -> None:
    """Tell it no more; needs MANAGE."""
    platform.access.authorize(who, "MANAGE", "catalog", environment)
    platform.webhooks.delete(environment, name)
    platform.audit.record(who.principal, "delete webhook", f"{environment}.{name}")


@router.get("/{environment}/{name}/deliveries")
def deliveries(environment: str, name: str, who: Caller, platform: Served, limit: Count = 100) -> list[dict[str, Any]]:
    """Tries at telling it, newest first; needs MANAGE."""
    platform.access.authorize(who, "MANAGE", "catalog", environment)
    return platform.webhooks.deliveries(environment, name, limit)


@router.post("/{environment}/{name}/deliveries/{delivery}")
def redeliver(environment: str, name: str, delivery: str, who: Caller, platform: Served) -> dict[str, Any]:
    """Send an earlier delivery again, now; needs MANAGE. How it went."""
    platform.access.authorize(who, "MANAGE", "catalog", environment)
    return platform.webhooks.redeliver(environment, name, delivery)


@events.get("")
def set_aside(who: Caller, platform: Served) -> list[SetAside]:
    """Events that the platform itself failed at ten times, oldest first; needs MANAGE on prod."""
    platform.access.authorize(who, "MANAGE", "catalog", "prod")
    return platform.outbox.set_aside()


@events.post("/{number}/redeliver")
def redeliver_event(number: int, who: Caller, platform: Served) -> None:
    """Let an event that was set aside be delivered again; needs MANAGE on prod."""
    platform.access.authorize(who, "MANAGE", "catalog", "prod")
    platform.outbox.redeliver(number)
    platform.audit.record(who.principal, "redeliver event", str(number))
