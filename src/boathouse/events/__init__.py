"""Events: written in the transaction of the change they tell of, delivered at least once and in order."""

from boathouse.events.outbox import Event, Outbox

__all__ = ["Event", "Outbox"]
