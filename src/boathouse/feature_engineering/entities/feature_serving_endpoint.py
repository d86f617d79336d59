"""Value classes of the published client: what an endpoint that serves features is made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from boathouse.errors import InvalidInput

__all__ = ["AutoCaptureConfig", "EndpointCoreConfig", "FeatureServingEndpoint", "ServedEntity"]


@dataclass(frozen=True)
class ServedEntity:
    """A feature spec behind an endpoint. The fields about machines are accepted and mean nothing here."""

    feature_spec_name: str
    name: str | None = None
    workload_size: str = "Small"
    scale_to_zero_enabled: bool = True
    instance_profile_arn: str | None = None


@dataclass(frozen=True)
class AutoCaptureConfig:
    """Where the published client would log requests. Here every endpoint logs into `<spec>_payload` by itself."""

    catalog_name: str
    schema_name: str
    table_name_prefix: str
    enabled: bool = True


@dataclass(frozen=True)
class EndpointCoreConfig:
    """What an endpoint serves: one feature spec."""

    served_entities: ServedEntity | Sequence[ServedEntity]
    auto_capture_config: AutoCaptureConfig | None = None

    @property
    def entity(self) -> ServedEntity:
        """The one served entity. Raises InvalidInput for several, and for what is none."""
        asked: Any = self.served_entities
        given = list(asked) if isinstance(asked, Sequence) and not isinstance(asked, str) else [asked]
        if wrong := [entity for entity in given if not isinstance(entity, ServedEntity)]:
            raise InvalidInput(f"served_entities holds {wrong[0]!r}: give ServedEntity(feature_spec_name=…)")
        if len(given) != 1:
            raise InvalidInput(f"an endpoint serves one feature spec, and {len(given)} are given")
        entity: ServedEntity = given[0]
        return entity


@dataclass(frozen=True)
class FeatureServingEndpoint:
    """An endpoint that serves features, as it is."""

    name: str
    state: str
    feature_spec_name: str
    details: dict[str, Any] = field(default_factory=dict, repr=False)
