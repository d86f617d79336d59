"""Names of what projects declare by a key: several may each have a job `training` in one environment.

Whoever comes second has it under `project.training`, and keeps that name. Asked for `training`, a project gets its own.
Endpoints, monitors and alerts are known to everybody by their names, which one project has.
"""

from collections.abc import Collection, Sequence
from typing import Any, Protocol, TypeVar

from boathouse.errors import Conflict

JOB = "job"
KEYED = frozenset({JOB, "schema", "volume", "table", "experiment", "registered_model"})
Wanted = tuple[str, str, dict[str, Any]]


class Named(Protocol):
    """What is deployed."""

    @property
    def kind(self) -> str:
        """What it is."""

    @property
    def name(self) -> str:
        """As it is deployed."""

    @property
    def project(self) -> str:
        """Whose it is."""


Deployed = TypeVar("Deployed", bound=Named)


def told_apart(project: str, wanted: Sequence[Wanted], there: Collection[Named]) -> list[Wanted]:
    """The (kind, key, definition) of a project with the names that these have beside what is there."""
    own = {(each.kind, each.name) for each in there if each.project == project}
    others = {(each.kind, each.name) for each in there if each.project != project}

    def name_of(kind: str, key: str) -> str:
        full = f"{project}.{key}"
        return full if (kind, full) in own or ((kind, key) in others and (kind, key) not in own) else key

    return [(kind, name_of(kind, key) if kind in KEYED else key, body) for kind, key, body in wanted]


def chosen(there: Sequence[Deployed], name: str, project: str | None) -> Deployed | None:
    """The job that is meant by a name, or by `project.name`: of several, the project's own; None where there is none.

    Raises Conflict, naming them, where several could be meant.
    """
    meant = [job for job in there if name in (job.name, key_of(job), f"{job.project}.{key_of(job)}")]
    if own := [job for job in meant if job.project == project]:
        meant = own
    if full := [job for job in meant if name == f"{job.project}.{key_of(job)}"]:
        meant = full
    if len(meant) > 1:
        names = ", ".join(sorted(f"{job.project}.{key_of(job)}" for job in meant))
        raise Conflict(f"several projects have a job {name!r}: say which, {names}, or ask from the project's folder")
    return meant[0] if meant else None


def key_of(resource: Named) -> str:
    """Its key in the project's bundle."""
    return resource.name.removeprefix(f"{resource.project}.")
