"""Keeps the catalog's models those of the registry, as events tell."""

from boathouse.catalog import Catalog, Lineage
from boathouse.delivery import Delivery
from boathouse.environments import service_principal
from boathouse.errors import NotFound
from boathouse.events import Event
from boathouse.identity import Identity
from boathouse.platform.model_pins import ModelPins
from boathouse.registry import Registry


class KnownModels:
    """Models as securables with owners, grants, pins and lineage."""

    def __init__(self, catalog: Catalog, registry: Registry, lineage: Lineage, delivery: Delivery, pins: ModelPins) -> None:
        self._catalog = catalog
        self._registry = registry
        self._lineage = lineage
        self._delivery = delivery
        self._pins = pins

    def know(self, event: Event) -> None:
        """Whoever registered a model owns it, and grants can name it."""
        owner = event.data.get("principal") or service_principal(event.subject.partition(".")[0])
        self._catalog.adopt("model", event.subject, str(owner))

    def forget(self, event: Event, name: str) -> None:
        """A model that is gone leaves neither an owner nor grants for the next of its name, and needs no data."""
        self._pins.sync(name)
        try:
            self._catalog.require("model", name)
        except NotFound:
            return
        if all(m.name != name for m in self._registry.models(name.rpartition(".")[0])):  # none was made since
            self._delivery.rollouts.forget(name)
            self._catalog.unregister(Identity(str(event.data.get("principal") or "system")), "model", name)

    def rename(self, event: Event) -> None:
        """The owner keeps a renamed model; grants named the former name and end."""
        former = str(event.data["former_name"])
        try:
            self._catalog.adopt("model", event.subject, self._catalog.require("model", former).owner)
        except NotFound:
            self.know(event)
        self._pins.sync(event.subject)
        self._lineage.rename(f"model:{former}", f"model:{event.subject}")
        self.forget(event, former)
