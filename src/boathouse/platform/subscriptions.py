"""Who hears of which events."""

from typing import TYPE_CHECKING

from boathouse import clock
from boathouse.environments import share
from boathouse.platform.known_models import KnownModels
from boathouse.platform.lineage import CopiedLineage

if TYPE_CHECKING:
    from boathouse.platform.platform import Platform


def subscribe(platform: "Platform") -> None:
    """Let the rooms of a home hear of what happens in others; each is told at least once, in order."""
    models = KnownModels(platform.catalog, platform.registry, platform.lineage, platform.delivery, platform.pins)
    platform.outbox.subscribe("registered_model.created", models.know)
    platform.outbox.subscribe("registered_model.deleted", lambda event: models.forget(event, event.subject))
    platform.outbox.subscribe("registered_model.renamed", models.rename)
    platform.outbox.subscribe("table.created", lambda event: share(platform.access, event.subject))
    platform.outbox.subscribe("model_version.created", CopiedLineage(platform.lineage).on_event)
    platform.outbox.subscribe("model_version.", platform.delivery.on_event)
    platform.outbox.subscribe("model_version.", platform.held_versions.on_event)
    platform.outbox.subscribe("table.updated", platform.held_versions.on_event)
    platform.outbox.subscribe("model_version.verdict", lambda event: platform.code.tell_requests(event.subject, event.data))
    platform.outbox.subscribe("model_version.", lambda event: platform.pins.sync(event.subject))
    platform.outbox.subscribe("model", lambda _event: platform.endpoints.wake())
    platform.outbox.subscribe("alert.fired", platform.monitors.answer)
    platform.outbox.subscribe("", lambda event: platform.notices.on_event(event, platform.url))
    platform.outbox.subscribe("", lambda e: platform.starts.on_event(e.id, e.kind, e.subject, e.data, clock.parse_instant(e.at)))
    if platform.feed:
        platform.outbox.subscribe("", lambda _event: platform.feed.wake() if platform.feed else None)
    platform.outbox.subscribe("", lambda _event: platform.webhooks.wake())
