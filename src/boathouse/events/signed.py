"""An event as MLflow's webhooks write and sign it: bodies and headers that a receiver made for MLflow understands."""

import base64
import hashlib
import hmac
import json
from typing import Any

from boathouse.events.outbox import Event

_MLFLOWS = {
    "model_version.tag_set": "model_version_tag.set", "model_version.tag_deleted": "model_version_tag.deleted",
    "model_version.alias_set": "model_version_alias.created", "model_version.alias_deleted": "model_version_alias.deleted",
}  # fmt: skip
KINDS = (
    "registered_model.created", "registered_model.renamed", "registered_model.deleted", "registered_model.described",
    "registered_model.tag_set", "registered_model.tag_deleted", "registered_model.commented",
    "model_version.created", "model_version.deleted", "model_version.described", "model_version.commented",
    "model_version.transitioned", "model_version.verdict", "model_version.delivery_requested",
    "model_version.rollout_started", "model_version.rollout_finished", "model_version.rollout_rolled_back",
    "model_version.rollout_ended", *_MLFLOWS, *_MLFLOWS.values(),
)  # fmt: skip
"""What webhooks hear of."""
_FIELDS = {
    "registered_model.created": ("tags", "description"),
    "model_version.created": ("version", "source", "run_id", "tags", "description"),
    "model_version_tag.set": ("version", "key", "value"), "model_version_tag.deleted": ("version", "key"),
    "model_version_alias.created": ("alias", "version"), "model_version_alias.deleted": ("alias",),
}  # fmt: skip
"""What MLflow tells of its own events; of the others, stage moves among them, we tell all we know."""


def kind_of(event: Event) -> str:
    """The event's kind by MLflow's name where MLflow has one."""
    return _MLFLOWS.get(event.kind, event.kind)


def body_of(event: Event) -> str:
    """The JSON that is sent: `entity`, `action`, `timestamp`, `data`."""
    kind = kind_of(event)
    entity, _, action = kind.partition(".")
    fields = _FIELDS.get(kind, tuple(event.data))
    data: dict[str, Any] = {"name": event.subject, **{field: event.data.get(field) for field in fields}}
    if data.get("version") is not None:
        data["version"] = str(data["version"])
    return json.dumps({"entity": entity, "action": action, "timestamp": event.at.isoformat(), "data": data}, default=str)


def headers_of(delivery_id: str, timestamp: int, body: str, secret: str) -> dict[str, str]:
    """The headers that sign a body: HMAC-SHA256 of `id.timestamp.body`."""
    mac = hmac.new(secret.encode(), f"{delivery_id}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    return {
        "Content-Type": "application/json", "X-MLflow-Delivery-Id": delivery_id, "X-MLflow-Timestamp": str(timestamp),
        "X-MLflow-Signature": f"v1,{base64.b64encode(mac).decode()}",
    }  # fmt: skip
