"""What can change of a securable: its comment and its owner."""

from pydantic import BaseModel

from boathouse.catalog import Securable, SecurableKind
from boathouse.errors import InvalidInput
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.unity.securable import check_principal, seen


class Altered(BaseModel):
    """The new comment, the new owner."""

    comment: str | None = None
    owner: str | None = None
    new_name: str | None = None


def altered(who: Identity, platform: Platform, kind: SecurableKind, name: str, body: Altered) -> Securable:
    """The securable as it is after the change; needs MANAGE. Raises InvalidInput for a new name."""
    plain = seen(who, platform, kind, name)
    if body.new_name and body.new_name != plain.rpartition(".")[2]:
        raise InvalidInput(f"the {kind} {plain} keeps its name: lineage, grants and code refer to it")
    if body.owner is not None:
        check_principal(platform, body.owner)
    return platform.securables.alter(who, kind, plain, comment=body.comment, owner=body.owner)
