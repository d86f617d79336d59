"""Registered models, what a new version must pass, and endpoints that serve them."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from boathouse.errors import InvalidInput
from boathouse.project.gates import Approval, Artifact, Duration, Evaluation, Features, OrNone, Replay, seconds_of
from boathouse.project.shape import Grant, Level, Permission, Resource, Shape, Tags, Text, Word, words
from boathouse.registry import CHALLENGER, CHAMPION, check_alias


class RollbackOn(Shape):
    """Limits that end a rollout: the share of failed requests, and the 99th percentile in milliseconds."""

    error_rate: float | None = Field(default=None, ge=0, le=1)
    p99_ms: float | None = Field(default=None, gt=0)


class Rollout(Shape):
    """How a new version takes over an endpoint: a share of the traffic for a while, then all of it.

    In mode shadow it answers, too, and nobody but the log sees what.
    """

    mode: Literal["canary", "shadow"] = "canary"
    canary_percent: float | None = Field(default=None, gt=0, le=100)
    shadow_percent: float | None = Field(default=None, gt=0, le=100)
    for_: Duration = Field(default="10m", alias="for")
    min_requests: int | None = Field(default=None, ge=1)
    rollback_on: RollbackOn = RollbackOn()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        shadow = self.shadow_percent is not None or self.mode == "shadow"
        if shadow and self.canary_percent is not None:
            raise ValueError("a rollout is a canary or a shadow: give canary_percent or shadow_percent")
        return self

    @property
    def seconds(self) -> int:
        """How long the canary lasts."""
        return seconds_of(self.for_)


class Delivery(Shape):
    """How a new version becomes Production: by itself, tested by itself but promoted by hand, by hand, or by a system outside."""

    evaluation: Evaluation | None = None
    replay: Replay | None = None
    artifact: Artifact = Artifact()
    features: Features = Features()
    approval: Annotated[Approval | None, OrNone] = None
    rollout: Annotated[Rollout | None, OrNone] = None
    mode: Literal["automatic", "partly_automatic", "manual", "external"] = "automatic"


class Alias(Shape):
    """A name for a version."""

    alias_name: Word
    version_num: int = Field(ge=1)
    unsupported = words("catalog_name schema_name model_name id")

    @field_validator("alias_name")
    @classmethod
    def _free(cls, name: str) -> str:
        try:
            alias = check_alias(name)
        except InvalidInput as error:
            raise ValueError(str(error)) from error
        if alias in (CHAMPION, CHALLENGER):
            raise ValueError(f"{alias} moves with the model's stages: `boathouse models promote`, or its `delivery`, moves it")
        return alias


class RegisteredModel(Resource):
    """A model `schema_name.name` of the environment."""

    name: Word
    schema_name: Level
    comment: str = ""
    aliases: tuple[Alias, ...] = ()
    grants: tuple[Grant, ...] = ()
    delivery: Delivery | None = None
    unsupported = words(
        """catalog_name storage_location full_name owner metastore_id browse_only created_at created_by
        updated_at updated_by"""
    )

    @property
    def full_name(self) -> str:
        """The two levels that code writes."""
        return f"{self.schema_name}.{self.name}"


class ServedEntity(Shape):
    """A version of a model behind an endpoint: a number, a stage or an alias such as champion."""

    name: Word | None = None
    entity_name: Word
    entity_version: Text = "champion"
    unsupported = words(
        """workload_size workload_type scale_to_zero_enabled environment_vars instance_profile_arn
        min_provisioned_throughput max_provisioned_throughput min_provisioned_concurrency
        max_provisioned_concurrency provisioned_model_units burst_scaling_enabled"""
    )


class Route(Shape):
    """A share of the traffic, in percent."""

    served_entity_name: Word | None = None
    served_model_name: Word | None = None
    traffic_percentage: int = Field(ge=0, le=100)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.served_entity_name is None) == (self.served_model_name is None):
            raise ValueError("give served_entity_name (or its older name, served_model_name)")
        return self

    @property
    def entity(self) -> str:
        """The served entity it leads to."""
        return self.served_entity_name or self.served_model_name or ""


class TrafficConfig(Shape):
    """How requests are shared out."""

    routes: tuple[Route, ...] = Field(min_length=1)


class InferenceTable(Shape):
    """The name under which an endpoint's logged requests are read, besides the model's own: `schema_name.prefix_payload`."""

    enabled: bool = True
    schema_name: Level | None = None
    table_name_prefix: Level | None = None
    unsupported = words("catalog_name")


class AiGateway(Shape):
    """What bundle YAML lets a gateway do; of it, where requests are logged."""

    inference_table_config: InferenceTable | None = None
    unsupported = words("usage_tracking_config guardrails rate_limits fallback_config")


class EndpointConfig(Shape):
    """What an endpoint serves."""

    served_entities: tuple[ServedEntity, ...] = Field(min_length=1)
    traffic_config: TrafficConfig | None = None
    auto_capture_config: InferenceTable | None = None
    unsupported = words("served_models")

    @model_validator(mode="after")
    def _traffic_fits(self) -> Self:
        names = [entity.name for entity in self.served_entities]
        if double := [name for name in names if name and names.count(name) > 1]:
            raise ValueError(f"two served_entities are named '{double[0]}'; traffic needs to tell them apart")
        if self.traffic_config is None:
            if len(names) > 1:
                raise ValueError("several served_entities need a traffic_config that shares out 100 percent")
            return self
        routes = self.traffic_config.routes
        if unknown := [route.entity for route in routes if route.entity not in names]:
            known = ", ".join(name for name in names if name) or "none has a name"
            raise ValueError(
                f"traffic leads to '{unknown[0]}', which is no served entity; there are: {known}"
            )
        if (total := sum(route.traffic_percentage for route in routes)) != 100:
            raise ValueError(f"traffic percentages must make 100, and they make {total}")
        return self


class Endpoint(Resource):
    """An online REST endpoint."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,63}$")
    description: str = ""
    config: EndpointConfig
    ai_gateway: AiGateway | None = None
    permissions: tuple[Permission, ...] = ()
    tags: Tags = Field(default_factory=dict)

    @property
    def asks_for_no_log(self) -> bool:
        """Whether it says that its requests are not to be logged, which they are all the same."""
        gateway = self.ai_gateway.inference_table_config if self.ai_gateway else None
        return not all(asked.enabled for asked in (gateway, self.config.auto_capture_config) if asked)

    unsupported = words(
        "telemetry_config route_optimized rate_limits email_notifications budget_policy_id"
    )
