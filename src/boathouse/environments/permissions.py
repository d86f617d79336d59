"""What the `permissions` and `grants` of a bundle's resources mean as privileges: a pure translation."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from boathouse.catalog import SecurableKind, grantable
from boathouse.errors import InvalidInput

_JOB = {
    "CAN_VIEW": ("BROWSE",), "CAN_READ": ("BROWSE",), "CAN_RUN": ("RUN",), "CAN_MANAGE_RUN": ("RUN",),
    "CAN_MANAGE": ("RUN", "MANAGE"), "IS_OWNER": ("RUN", "MANAGE"),
}  # fmt: skip
_ENDPOINT = {
    "CAN_VIEW": ("BROWSE",), "CAN_READ": ("BROWSE",), "CAN_RUN": ("QUERY",), "CAN_QUERY": ("QUERY",),
    "CAN_MANAGE": ("QUERY", "MANAGE ENDPOINT", "MANAGE"), "IS_OWNER": ("QUERY", "MANAGE ENDPOINT", "MANAGE"),
}  # fmt: skip
_EXPERIMENT = {
    "CAN_VIEW": ("SELECT",), "CAN_READ": ("SELECT",), "CAN_EDIT": ("SELECT", "MODIFY"),
    "CAN_MANAGE": ("SELECT", "MODIFY", "MANAGE"), "IS_OWNER": ("SELECT", "MODIFY", "MANAGE"),
}  # fmt: skip
LEVELS: Mapping[str, Mapping[str, tuple[str, ...]]] = {"job": _JOB, "endpoint": _ENDPOINT, "experiment": _EXPERIMENT}
"""Kind of a securable -> a permission's level -> the privileges it stands for."""

_KINDS: Mapping[str, SecurableKind] = {
    "job": "job", "model_serving_endpoint": "endpoint", "schema": "schema", "volume": "volume", "registered_model": "model",
    "experiment": "experiment",
}  # fmt: skip

Resource = tuple[str, str, Mapping[str, Any]]
"""(kind, name, definition) as a bundle declares it."""


@dataclass(frozen=True, order=True)
class Permit:
    """A privilege that a bundle gives on one of its resources."""

    kind: SecurableKind
    securable: str
    principal: str
    privilege: str


def securable_of(environment: str, resource: Resource) -> tuple[SecurableKind, str] | None:
    """What a resource is as a securable; None for kinds that grants cannot name."""
    kind, name, body = resource
    if kind not in _KINDS:
        return None
    if kind in ("volume", "registered_model"):
        return _KINDS[kind], f"{environment}.{body['schema_name']}.{body['name']}"
    if kind == "experiment":
        return _KINDS[kind], experiment_securable(environment, str(body["name"]))
    return _KINDS[kind], f"{environment}.{body['name'] if kind == 'schema' else name}"


def experiment_securable(environment: str, name: str) -> str:
    """An experiment as grants name it: `/dev/shop/reorder`, and `shop/reorder` of dev's bundle, are `dev.shop/reorder`."""
    plain = name.strip("/")
    return f"{environment}.{plain.removeprefix(environment + '/')}"


def permits(environment: str, resources: Iterable[Resource]) -> list[Permit]:
    """All that a bundle's resources give, each once and in order."""
    found = {
        Permit(*place, principal, privilege)
        for resource in resources
        if (place := securable_of(environment, resource))
        for principal, privilege in _given(place[0], resource[2])
    }
    return sorted(found)


def without_meaning(kind: str, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(`permissions` or `grants`, a text) of levels and privileges of a resource that stand for nothing here."""
    securable = _KINDS.get(kind)
    if securable is None and (body.get("permissions") or body.get("grants")):
        field = "permissions" if body.get("permissions") else "grants"
        yield field, f"ignored on {kind}s, which are guarded by the environment"
        return
    for entry in body.get("permissions") or ():
        if entry["level"] not in LEVELS.get(securable or "", {}):
            yield "permissions", f"the permission {entry['level']} means nothing on a {kind} and is ignored"
    for entry in body.get("grants") or ():
        for privilege in entry["privileges"]:
            if not _means(str(privilege), str(securable)):
                yield "grants", f"the privilege {privilege} means nothing on a {kind} and is ignored"


def _given(kind: SecurableKind, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for entry in body.get("permissions") or ():
        principal = entry.get("user_name") or entry.get("group_name") or entry.get("service_principal_name")
        for privilege in LEVELS.get(kind, {}).get(entry["level"], ()):
            yield str(principal), privilege
    for entry in body.get("grants") or ():
        for privilege in entry["privileges"]:
            if _means(str(privilege), kind):
                yield str(entry["principal"]), str(privilege).strip().upper().replace("_", " ")


def _means(privilege: str, kind: str) -> bool:
    try:
        return grantable(privilege, kind)
    except InvalidInput:
        return False
