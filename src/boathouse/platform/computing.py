"""Named computes of an environment: made, listed, and given to the runs whose principal may use them."""

from collections.abc import Iterator, Mapping
from typing import Any

from boathouse.catalog import AccessControl
from boathouse.environments import Deployments
from boathouse.errors import InvalidBundle, InvalidInput, NotFound
from boathouse.identity import Identity
from boathouse.project import Bundle, definition, parse_resource


class Computing:
    """Computes as resources of a project or made by hand, and securables that USE COMPUTE is asked of."""

    def __init__(self, deployments: Deployments, access: AccessControl) -> None:
        self._deployments = deployments
        self._access = access

    def all(self, identity: Identity, environment: str | None = None) -> list[dict[str, Any]]:
        """The computes that the identity may know of, and whether it may use each."""
        found = [c for c in self._deployments.resources("compute", environment)
                 if self._access.sees(identity, "compute", f"{c.environment}.{c.name}")]  # fmt: skip
        return [
            {"environment": c.environment, "name": c.name, "project": c.project, "cpus": c.definition.get("cpus"),
             "memory": c.definition.get("memory"), "ray": (c.definition.get("ray") or {}).get("address"),
             "comment": c.definition.get("comment", ""),
             "may_use": self._access.allows(identity, "USE COMPUTE", "compute", f"{c.environment}.{c.name}")}
            for c in found
        ]  # fmt: skip

    def put(self, identity: Identity, environment: str, name: str, body: Mapping[str, Any]) -> None:
        """Make or change a compute by hand; needs MANAGE on the environment. Raises InvalidInput, Conflict for a project's."""
        if not name.replace("-", "").replace("_", "").isalnum():
            raise InvalidInput(f"{name!r} is no name of a compute: letters, digits, - and _")
        wanted = definition(parse_resource("compute", body))
        self._access.authorize(identity, "MANAGE", "catalog", environment)
        self._deployments.put(identity, environment, "compute", name, wanted)

    def remove(self, identity: Identity, environment: str, name: str) -> None:
        """Delete a compute that was made by hand; needs MANAGE on it. Raises NotFound, Conflict for a project's."""
        self._access.authorize(identity, "MANAGE", "compute", f"{environment}.{name}")
        self._deployments.remove(identity, environment, "compute", name)

    def check(self, identity: Identity, environment: str, bundle: Bundle) -> None:
        """Before a deployment: what its jobs name is there or comes with it, and may be used.

        Raises InvalidBundle, naming file and line, and NotPermitted.
        """
        for name, at in bundle.computes_elsewhere():
            try:
                found = self._get(environment, name, "")
            except NotFound as error:
                raise InvalidBundle(at(str(error))) from error
            if found.project != bundle.name:
                self._access.authorize(identity, "USE COMPUTE", "compute", f"{environment}.{name}")

    def limited(self, identity: Identity, environment: str, job: Mapping[str, Any], scratch: str = "") -> dict[str, Any]:
        """A job's definition with the limits of the computes that its tasks name, as the run's principal may use them.

        Raises NotFound, NotPermitted.
        """
        limits = {}
        for name in sorted(set(_named(job))):
            found = self._get(environment, name, scratch)
            if not scratch:
                self._access.authorize(identity, "USE COMPUTE", "compute", f"{environment}.{name}")
            limits[name] = {k: found.definition[k] for k in ("cpus", "memory", "ray") if found.definition.get(k)}
        return {**job, "computes": limits} if limits else dict(job)

    def _get(self, environment: str, name: str, scratch: str) -> Any:
        there = {c.name: c for place in {"", scratch} for c in self._deployments.resources("compute", environment, scratch=place)}
        if name not in there:
            known = ", ".join(sorted(there)) or "none"
            raise NotFound(f"{environment} has no compute {name!r} (there: {known}); `boathouse compute create {name}` makes one")
        return there[name]


def _named(job: Mapping[str, Any]) -> Iterator[str]:
    for task in job.get("tasks") or ():
        for part in (task, (task.get("for_each_task") or {}).get("task") or {}):
            if part.get("compute"):
                yield str(part["compute"])
