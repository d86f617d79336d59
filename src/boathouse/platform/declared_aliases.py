"""Aliases that a bundle's registered models declare: pointed at their versions, and taken back when they leave it."""

from collections.abc import Iterable, Mapping
from typing import Any

from boathouse.catalog import AccessControl
from boathouse.errors import NotFound
from boathouse.identity import Identity
from boathouse.registry import MAY_EDIT, Registry

_WHY = "as the project file says"
Definitions = Iterable[Mapping[str, Any]]


class DeclaredAliases:
    """Makes a model's aliases be as the deployed bundle says, and leaves all others alone."""

    def __init__(self, registry: Registry, access: AccessControl) -> None:
        self._registry = registry
        self._access = access

    def sync(self, identity: Identity, environment: str, before: Definitions, wanted: Definitions) -> list[str]:
        """Point and take back; texts about those whose version is not there yet.

        Changing one needs what changing it through MLflow does. Raises NotPermitted.
        """
        former, now = _declared(environment, before), _declared(environment, wanted)
        for model, alias in sorted(former.keys() - now.keys()):
            if self._aliases(model).get(alias) == former[model, alias]:
                self._authorize(identity, model)
                self._registry.delete_alias(model, alias, principal=identity.principal, reason=_WHY)
        notes = []
        for (model, alias), version in sorted(now.items()):
            if self._aliases(model).get(alias) == version:
                continue
            self._authorize(identity, model)
            try:
                self._registry.set_alias(model, alias, version, principal=identity.principal, reason=_WHY)
            except NotFound:
                notes.append(f"{model} has no version {version} yet, so nothing is called {alias}: deploy again once it is there")
        return notes

    def _aliases(self, model: str) -> Mapping[str, int]:
        try:
            return self._registry.model(model).aliases
        except NotFound:
            return {}

    def _authorize(self, identity: Identity, model: str) -> None:
        if not any(self._access.allows(identity, privilege, "model", model) for privilege in MAY_EDIT):
            self._access.authorize(identity, "PROMOTE", "model", model)


def _declared(environment: str, definitions: Definitions) -> dict[tuple[str, str], int]:
    """(model, alias) -> version."""
    return {
        (f"{environment}.{body['schema_name']}.{body['name']}", str(alias["alias_name"])): int(alias["version_num"])
        for body in definitions for alias in body.get("aliases") or ()
    }  # fmt: skip
