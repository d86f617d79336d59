"""Who is told where files lie.

On an object store everybody who holds the privilege, since short-lived credentials open that place alone. On a
local disk a credential governs nothing, so only those who read the disk anyway: the operator, and tasks, which
run as the operator's operating-system user. All others get rows through the server.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from boathouse import clock
from boathouse.catalog import TableAccess
from boathouse.errors import NotPermitted
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.unity.securable import millis

_LIFETIME_MILLIS = 3_600_000


def reads_the_disk(who: Identity, platform: Platform) -> bool:
    """Whether the caller's programs run as the user who owns this home's files."""
    return who.principal == platform.operator or who.run_id is not None


def may_open(who: Identity, platform: Platform, location: str) -> bool:
    """Whether the caller may be told of files at this location, given the privilege."""
    return not location.startswith(("file:", "/")) or reads_the_disk(who, platform)


def check_open(who: Identity, platform: Platform, location: str, name: str) -> None:
    """Raises NotPermitted where `may_open` says no."""
    if not may_open(who, platform, location):
        raise NotPermitted(
            f"{name} lies on this server's disk, which {who.principal} does not reach: read it through the server "
            "(SQL, Delta Sharing or Arrow Flight), or keep the lakehouse on an object store",
            missing={"access": "files", "on": name},
        )


def check_files(who: Identity, platform: Platform, access: TableAccess) -> None:
    """Raises NotPermitted unless the caller may open this table's files."""
    name = access.info.name
    if access.through == "server":
        raise NotPermitted(
            f"rows of {name} come through the server only: it has masks or a row filter, belongs to another environment "
            "than the run, or lies on a store that gives out no credentials of its own (no STS); read it through SQL",
            missing={"access": "files", "on": name},
        )
    check_open(who, platform, access.info.location, name)


def credentials(location: str, given: Mapping[str, str], expires_at: datetime | None) -> dict[str, Any]:
    """TemporaryCredentials: the store's scoped ones, or on this machine's disk none at all."""
    if not given:
        return empty_credentials(location)
    keys = {"access_key_id": given["AWS_ACCESS_KEY_ID"], "secret_access_key": given["AWS_SECRET_ACCESS_KEY"],
            "session_token": given["AWS_SESSION_TOKEN"]}  # fmt: skip
    return {"url": location, "expiration_time": millis(expires_at), "aws_temp_credentials": keys}


def empty_credentials(location: str) -> dict[str, Any]:
    """TemporaryCredentials for a place on this machine: they hold nothing, and say until when."""
    return {"url": location, "expiration_time": clock.millis() + _LIFETIME_MILLIS, "aws_temp_credentials": None}
