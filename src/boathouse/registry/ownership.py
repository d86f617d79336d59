"""Runs, logged models, experiments and their files belong to the environment that made them."""

import re

from boathouse.database import Database
from boathouse.errors import InvalidInput, NotFound, NotPermitted
from boathouse.registry import tracked
from boathouse.registry.actor import MAY_LOG, MAY_READ, Actor

ENVIRONMENT_TAG, PRINCIPAL_TAG, JOB_RUN_TAG = "boathouse.environment", "boathouse.principal", "boathouse.job_run"

# where MLflow keeps what belongs to a run and to a logged model, below an experiment
_FILES = re.compile(r"^\d+/(?:(?P<run>[0-9a-f]{32})|models/(?P<model>m-[0-9a-f]+)|traces/(?P<trace>[^/]+))/artifacts(?:/|$)")
_COPY = re.compile(r"^copies/(?P<environment>[^/]+)/[0-9a-f]{32}/artifacts(?:/|$)")


def check_owner(database: Database, who: Actor, owner: str, privilege: str = "MODIFY") -> None:
    """Pass unless the run, logged model or experiment belongs to another environment, and its experiment is not shared so.

    Raises NotFound, NotPermitted.
    """
    environment, experiment = _place(database, owner)
    if environment in (None, *who.writable()) or experiment in who.shared(privilege):
        return
    if environment not in who.readable() and experiment not in who.shared("SELECT"):
        who.denied(who.principal, MAY_READ[0], owner)
        raise NotFound(f"there is no {owner} that {who.principal} may see")
    who.denied(who.principal, MAY_LOG[0], str(environment))
    raise NotPermitted(
        f"{owner} was made in {environment}, {who.principal} works in {who.environment or 'none'}: log into a run of your own",
        missing={"environment": environment, "on": owner},
    )


def check_files(database: Database, who: Actor, path: str, *, write: bool) -> None:
    """Pass when `who` may read or write the artifacts at a path.

    Raises InvalidInput for a write that belongs to nothing, NotPermitted, NotFound.
    """
    if copied := _COPY.match(path):
        if write:
            raise NotPermitted(f"{path} belongs to a copy of a version, which never changes; register a new version instead")
        if copied["environment"] not in who.readable():
            who.denied(who.principal, MAY_READ[0], copied["environment"])
            raise NotFound(f"there are no artifacts at {path} that {who.principal} may see")
        return
    found = _FILES.match(path)
    if not found:
        verb = "written" if write else "read"
        raise InvalidInput(f"artifacts are {verb} below a run, a logged model or a trace, not at {path!r}")
    owner = found["run"] or found["model"] or found["trace"]
    if write:
        check_owner(database, who, owner)
        return
    environment, experiment = _place(database, owner)
    if environment not in (None, *who.readable()) and experiment not in who.shared("SELECT"):
        who.denied(who.principal, MAY_READ[0], owner)
        raise NotFound(f"there are no artifacts at {path} that {who.principal} may see")


def _place(database: Database, owner: str) -> tuple[str | None, int | None]:
    """The environment and the experiment that something belongs to."""
    with database.reading() as connection:
        return tracked.tag_of(connection, owner, ENVIRONMENT_TAG), tracked.experiment_of(connection, owner)
