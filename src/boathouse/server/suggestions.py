"""What a caller may have meant by a name that nothing has, among what the caller may know of."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from fastapi import Request

from boathouse.errors import BoathouseError
from boathouse.identity import Identity
from boathouse.names import nearest
from boathouse.platform import Platform
from boathouse.server.auth import identity_of

_MOST = 2_000
"""So many names of an environment are looked at."""


def with_suggestion(request: Request, error: BoathouseError, platform: Platform) -> dict[str, Any]:
    """The body of an error; where it tells the kind and name of what was not found, with the nearest name there is."""
    body = error.to_dict()
    known, name = _KNOWN.get(str(error.details.get("kind"))), str(error.details.get("name"))
    if known is None or name.count(".") != 2:
        return body
    with suppress(BoathouseError):  # of who is nobody: nothing is suggested then
        found = nearest(name, known(platform, identity_of(request), name.partition(".")[0]))
        if found:
            body["message"] += f"; did you mean {found}?"
            body["details"] = {**body["details"], "nearest": found}
    return body


def _models(platform: Platform, who: Identity, environment: str) -> Iterable[str]:
    models = platform.registry.models(environment, limit=_MOST)
    return (m.name for m in models if platform.catalog.visible(who, "model", m.name))


def _listed(kind: Any) -> Callable[[Platform, Identity, str], Iterable[str]]:
    return lambda platform, who, environment: (
        s.name for s in platform.catalog.listed(who, kind, catalog=environment, limit=_MOST)
    )  # fmt: skip


_KNOWN: Mapping[str, Callable[[Platform, Identity, str], Iterable[str]]] = {
    "table": _listed("table"), "volume": _listed("volume"), "model": _models,
    "function": lambda platform, who, environment: (f.name for f in platform.functions.functions(who, environment)),
    "feature_spec": lambda platform, who, environment: (s.name for s in platform.feature_specs.specs(who, environment)),
    "declared_feature": lambda platform, who, environment: (
        f["full_name"] for f in platform.declared_features.features(who) if f["full_name"].startswith(f"{environment}.")
    ),
}  # fmt: skip
