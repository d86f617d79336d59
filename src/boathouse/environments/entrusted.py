"""Projects, jobs and endpoints as securables: grants can name what is deployed, and a project's hold for its jobs.

They belong to the owner of the environment, not to whoever deployed them last. DEPLOY and RUN on a project are for
projects that move data alone, to which models, endpoints, monitors and alerts are none; see `of_data_alone`.
"""

from collections.abc import Collection, Iterable
from typing import Any

from boathouse.catalog import Catalog, SecurableKind
from boathouse.identity import Identity

SECURABLES: dict[str, SecurableKind] = {"job": "job", "model_serving_endpoint": "endpoint", "compute": "compute"}
"""Kind of a resource -> kind of the securable it is."""

_DATA = frozenset({"schema", "volume", "table", "job"})


def of_data_alone(kinds: Iterable[str]) -> bool:
    """Whether a project with resources of these kinds is a feature or ingest project."""
    return set(kinds) <= _DATA


def sync(catalog: Catalog, identity: Identity, environment: str, project: str, before: Collection[tuple[str, str]],
         wanted: Collection[tuple[str, str, Any]]) -> None:  # fmt: skip
    """Know the project and what it has there now, and forget what it had before, in the caller's transaction."""
    owner = catalog.require("catalog", environment).owner
    catalog.adopt("project", f"{environment}.{project}", owner)
    stays = {(kind, name) for kind, name, _ in wanted}
    for kind, name in sorted(set(before) - stays):
        if kind in SECURABLES:
            catalog.unregister(identity, SECURABLES[kind], f"{environment}.{name}")
    for kind, name in sorted(stays):
        if kind == "job":
            catalog.adopt("job", f"{environment}.{name}", owner, project=f"{environment}.{project}")
        elif kind in SECURABLES:
            catalog.adopt(SECURABLES[kind], f"{environment}.{name}", owner)
