"""What all securables have in common here: an id, who may see them, and when they were made."""

import base64
import binascii
import uuid
from datetime import datetime
from typing import Any

from boathouse import names
from boathouse.catalog import METASTORE, Securable, SecurableKind
from boathouse.errors import InvalidName, NotFound
from boathouse.identity import Identity
from boathouse.platform import Platform

KINDS: dict[str, SecurableKind] = {
    "metastore": "metastore", "catalog": "catalog", "schema": "schema", "table": "table", "volume": "volume",
    "registered_model": "model", "function": "function",
}  # fmt: skip
"""Unity Catalog's securable types and our kinds; to databricks-sdk a model is a function, too."""

_SEES = {"table": "SELECT", "schema": "USE SCHEMA", "model": "EXECUTE", "catalog": "USE CATALOG", "volume": "READ VOLUME",
         "function": "EXECUTE"}  # fmt: skip
_LEVELS = {"catalog": 1, "schema": 2, "table": 3, "volume": 3, "model": 3, "function": 3}


def kind_of(platform: Platform, securable_type: str, name: str) -> SecurableKind:
    """Our kind of a securable. Raises NotFound."""
    kind = KINDS.get(securable_type.lower())
    if kind is None:
        raise NotFound(f"{securable_type!r} is no securable type; they are {', '.join(KINDS)}")
    if kind == "function":
        try:
            platform.catalog.require("function", name)
        except NotFound:
            return "model"
    return kind


def seen(who: Identity, platform: Platform, kind: SecurableKind, name: str) -> str:
    """The name, checked, of a securable that the caller may know of. Raises InvalidName, NotPermitted, recorded."""
    levels = [names.check_level(level) for level in name.replace("`", "").split(".")]
    if kind != "metastore" and len(levels) != _LEVELS[kind]:
        raise InvalidName(f"{name!r} is no name of a {kind}: it takes {_LEVELS[kind]} levels")
    plain = ".".join(levels)
    if not platform.catalog.visible(who, kind, plain):
        platform.access.authorize(who, _SEES.get(kind, "MANAGE"), kind, plain)
    return plain


def check_principal(platform: Platform, name: str) -> None:
    """Raises NotFound for a name that no principal has."""
    try:
        platform.identities.get(name)
    except NotFound as error:
        raise NotFound(str(error), kind="principal") from error


def identifier(kind: SecurableKind, name: str) -> str:
    """The id that clients hand back to mean this securable: its name, in a shape that nobody takes for one."""
    return base64.b32hexencode(f"{kind}:{name}".encode()).decode().rstrip("=").lower()


def named(kind: SecurableKind, given: str) -> str:
    """The name that an id stands for. Raises NotFound."""
    try:
        padded = given.upper() + "=" * (-len(given) % 8)
        found, _, name = base64.b32hexdecode(padded.encode()).decode().partition(":")
    except (binascii.Error, ValueError):
        found, name = "", ""
    if found != kind:
        raise NotFound(f"no {kind} has the id {given!r}", kind=kind)
    return name


def metastore_id(platform: Platform) -> str:
    """This installation's id."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"boathouse:{platform.catalog.require('metastore', METASTORE).created_at}"))


def millis(moment: datetime | None) -> int:
    """Milliseconds since 1970; clients read these without asking whether they are there."""
    return int(moment.timestamp() * 1000) if moment else 0


def common(found: Securable) -> dict[str, Any]:
    """The fields that every securable has."""
    return {
        "comment": found.comment or None, "owner": found.owner, "created_at": millis(found.created_at),
        "created_by": found.created_by, "updated_at": millis(found.created_at), "updated_by": found.created_by,
    }  # fmt: skip
