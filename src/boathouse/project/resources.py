"""All that a project declares, by kind and key, and how it is told apart from what is deployed."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from boathouse.errors import InvalidInput
from boathouse.project.compute import Compute
from boathouse.project.job import Job
from boathouse.project.model import Endpoint, RegisteredModel
from boathouse.project.monitor import Alert, Monitor
from boathouse.project.shape import Grant, Level, Permission, Resource, Shape, Tags, Word, words
from boathouse.project.table import Table

Definition = dict[str, Any]


class Schema(Resource):
    """A schema of the environment."""

    name: Level
    comment: str = ""
    grants: tuple[Grant, ...] = ()
    properties: Tags = Field(default_factory=dict)
    unsupported = words("catalog_name storage_root custom_max_retention_hours")


class Volume(Resource):
    """A place for files."""

    name: Level
    schema_name: Level
    comment: str = ""
    grants: tuple[Grant, ...] = ()
    unsupported = words("catalog_name volume_type storage_location")


class Experiment(Resource):
    """An MLflow experiment."""

    name: Word
    description: str = ""
    permissions: tuple[Permission, ...] = ()
    tags: Tags = Field(default_factory=dict)
    unsupported = words("artifact_location")


class Resources(Shape):
    """The kinds of resources, in the order in which they are made: a later kind may need an earlier one."""

    schemas: dict[str, Schema] = Field(default_factory=dict)
    compute: dict[str, Compute] = Field(default_factory=dict)
    volumes: dict[str, Volume] = Field(default_factory=dict)
    tables: dict[str, Table] = Field(default_factory=dict)
    experiments: dict[str, Experiment] = Field(default_factory=dict)
    registered_models: dict[str, RegisteredModel] = Field(default_factory=dict)
    jobs: dict[str, Job] = Field(default_factory=dict)
    model_serving_endpoints: dict[str, Endpoint] = Field(default_factory=dict)
    quality_monitors: dict[str, Monitor] = Field(default_factory=dict)
    alerts: dict[str, Alert] = Field(default_factory=dict)
    unsupported = words(
        """apps catalogs clusters dashboards database_catalogs database_instances external_locations
        genie_spaces instance_pools job_runs models pipelines postgres_branches postgres_catalogs
        postgres_databases postgres_endpoints postgres_projects postgres_roles postgres_synced_tables
        secret_scopes secrets sql_warehouses synced_database_tables vector_search_endpoints
        vector_search_indexes"""
    )

    def each(self) -> Iterator[tuple[str, str, Resource]]:
        """(kind, key, resource), kinds in order and keys sorted."""
        for section, kind in KINDS.items():
            for key, resource in sorted(getattr(self, section).items()):
                yield kind, key, resource


KINDS = {
    "schemas": "schema", "compute": "compute", "volumes": "volume", "tables": "table", "experiments": "experiment",
    "registered_models": "registered_model", "jobs": "job",
    "model_serving_endpoints": "model_serving_endpoint", "quality_monitors": "quality_monitor",
    "alerts": "alert",
}  # fmt: skip
"""A section of the project file -> the kind of resource in it, in the order in which kinds are made."""
_SHAPES: Mapping[str, type[Resource]] = {
    "schema": Schema, "compute": Compute, "volume": Volume, "table": Table, "experiment": Experiment,
    "registered_model": RegisteredModel, "job": Job,
    "model_serving_endpoint": Endpoint, "quality_monitor": Monitor, "alert": Alert,
}  # fmt: skip


def definition(resource: Resource) -> Definition:
    """A resource as JSON: what is not the default, so that a default that is written out is no change."""
    return resource.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def parse_resource(kind: str, body: Mapping[str, Any]) -> Resource:
    """A resource from its definition. Raises InvalidInput for an unknown kind or a body that does not fit."""
    if kind not in _SHAPES:
        raise InvalidInput(f"there is no kind of resource {kind!r}; the kinds are {', '.join(_SHAPES)}")
    try:
        return _SHAPES[kind].model_validate(dict(body))
    except ValueError as error:
        raise InvalidInput(f"this is not a {kind}: {error}") from error
