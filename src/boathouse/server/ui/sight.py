"""What a caller may see. A page shows nothing else, and what is hidden is answered like what is not there."""

from boathouse.catalog import AuditEntry, TableInfo
from boathouse.environments import ENVIRONMENTS
from boathouse.errors import BoathouseError, NotFound
from boathouse.identity import Identity
from boathouse.jobs import Run
from boathouse.platform import Platform
from boathouse.server.auth import AUDITORS


def uses(who: Identity, platform: Platform, environment: str) -> bool:
    """Whether the caller may look into an environment."""
    return platform.access.allows(who, "USE CATALOG", "catalog", environment)


def environments(who: Identity, platform: Platform) -> list[str]:
    """The environments the caller may look into."""
    return [name for name in ENVIRONMENTS if uses(who, platform, name)]


def rank(name: str) -> tuple[int, str]:
    """For sorting full names: dev, staging, prod, then by name."""
    first = name.partition(".")[0]
    return ENVIRONMENTS.index(first) if first in ENVIRONMENTS else len(ENVIRONMENTS), name


def may(who: Identity, platform: Platform, privilege: str, environment: str) -> bool:
    """Whether the caller holds a privilege on an environment."""
    return platform.access.allows(who, privilege, "catalog", environment)


def environment(who: Identity, platform: Platform, name: str) -> str:
    """An environment the caller may look into. Raises NotFound."""
    if name not in ENVIRONMENTS or not uses(who, platform, name):
        raise NotFound(f"there is no environment {name!r} that you may see")
    return name


def table(who: Identity, platform: Platform, name: str) -> TableInfo:
    """A table the caller may know of. Raises NotFound."""
    if not platform.catalog.visible(who, "table", name):
        raise NotFound(f"there is no table {name!r} that you may see")
    return platform.catalog.table(name)


def model(who: Identity, platform: Platform, name: str) -> str:
    """A model the caller may know of. Raises NotFound."""
    if not platform.catalog.visible(who, "model", name):
        raise NotFound(f"there is no model {name!r} that you may see")
    return platform.registry.model(name).name


def knows_model(who: Identity, platform: Platform, name: str) -> bool:
    """Whether there is a model of the name that the caller may know of."""
    try:
        model(who, platform, name)
    except BoathouseError:  # not there, not for the caller, or no name at all: an endpoint may serve features alone
        return False
    return True


def run(who: Identity, platform: Platform, run_id: str) -> Run:
    """A run the caller may see. Raises NotFound."""
    found = platform.runs.get(run_id)
    if not platform.jobs.sees(who, found):
        raise NotFound(f"no run has the id {run_id!r}")
    return found


def node(who: Identity, platform: Platform, name: str) -> bool:
    """Whether the caller may know of a node of the lineage."""
    kind, _, rest = name.partition(":")
    if kind == "model" and rest:
        return platform.catalog.visible(who, "model", rest)
    if kind == "endpoint" and rest:
        return platform.access.allows(who, "QUERY", "endpoint", rest)
    return platform.catalog.visible(who, "table", name)


def activity(who: Identity, platform: Platform, limit: int, subject: str | None = None) -> list[AuditEntry]:
    """The newest audit entries: all of them for auditors, else the caller's own."""
    entries = platform.audit.entries(limit, subject)
    return entries if who.groups & AUDITORS else [e for e in entries if e.principal == who.principal]
