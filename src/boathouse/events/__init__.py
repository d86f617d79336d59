"""Events: written in the transaction of the change they tell of, delivered at least once and in order."""

from boathouse.events.outbox import Event, Outbox
from boathouse.events.webhooks import Webhook, Webhooks

__all__ = ["Event", "Outbox", "Webhook", "Webhooks"]
