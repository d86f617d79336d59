"""Runs, logged models, experiments and their files belong to the environment that made them."""

import re

from boathouse.database import Database
from boathouse.errors import InvalidInput, NotFound, NotPermitted
from boathouse.registry import store
from boathouse.registry.actor import MAY_LOG, Actor

ENVIRONMENT_TAG, PRINCIPAL_TAG = "boathouse.environment", "boathouse.principal"

# where MLflow keeps what belongs to a run and to a logged model, below an experiment
_FILES = re.compile(r"^\d+/(?:(?P<run>[0-9a-f]{32})|models/(?P<model>m-[0-9a-f]+)|traces/[^/]+)/artifacts(?:/|$)")


def check_owner(database: Database, who: Actor, owner: str) -> None:
    """Pass unless the run, logged model or experiment belongs to another environment. Raises NotPermitted."""
    with database.reading() as connection:
        environment = store.tag_of(connection, owner, ENVIRONMENT_TAG)
    if environment in (None, who.environment) or (not who.bound and who.may(MAY_LOG, str(environment))):
        return
    raise NotPermitted(
        f"{owner} was made in {environment}, {who.principal} works in {who.environment or 'none'}: log into a run of your own",
        missing={"environment": environment, "on": owner},
    )


def check_files(database: Database, who: Actor, path: str, *, write: bool) -> None:
    """Pass when `who` may read or write the artifacts at a path.

    Raises InvalidInput for a write that belongs to nothing, NotPermitted, NotFound.
    """
    found = _FILES.match(path)
    owner = (found["run"] or found["model"] or "") if found else ""
    if write:
        if not found:
            raise InvalidInput(f"artifacts are written below a run or a logged model, not at {path!r}")
        check_owner(database, who, owner)
        return
    with database.reading() as connection:
        environment = store.tag_of(connection, owner, ENVIRONMENT_TAG)
    if environment not in (None, who.environment) and not who.allow("USE CATALOG", str(environment)):
        raise NotFound(f"there are no artifacts at {path} that {who.principal} may see")
