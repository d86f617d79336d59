"""What the definition of an endpoint asks for: versions of one model, each with its share of the requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boathouse.names import parse


@dataclass(frozen=True)
class ServedEntity:
    """A version behind an endpoint: `model` in full, `reference` a number, a stage or an alias, `percent` its share."""

    name: str
    model: str
    reference: str
    percent: float

    @property
    def follows_champion(self) -> bool:
        """Whether it is whatever version is Production."""
        return self.reference.lower() in ("champion", "@champion", "production")


def served_entities(environment: str, definition: Mapping[str, Any]) -> tuple[ServedEntity, ...]:
    """The served entities of an endpoint's definition, in their order; without a traffic_config the first gets all."""
    config = definition.get("config") or {}
    shares: dict[str, float] = {}
    for route in (config.get("traffic_config") or {}).get("routes") or ():
        to = str(route.get("served_entity_name") or route.get("served_model_name"))
        shares[to] = shares.get(to, 0.0) + float(route.get("traffic_percentage") or 0)
    found: list[ServedEntity] = []
    for position, entity in enumerate(config.get("served_entities") or [{}]):
        model = str(parse(str(entity.get("entity_name")), environment))
        reference = str(entity.get("entity_version") or "champion")
        name = str(entity.get("name") or reference)
        percent = shares.get(name, 0.0) if shares else 100.0 * (position == 0)
        own = name if all(f.name != name for f in found) else f"{name}-{position}"
        found.append(ServedEntity(own, model, reference, percent))
    return tuple(found)
