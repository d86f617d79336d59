"""Experiments that somebody was granted something on, besides those of the environments they work in."""

from boathouse.catalog import AccessControl
from boathouse.identity import Identity
from boathouse.registry import Registry


class SharedExperiments:
    """Answers MLflow's guard; grants name `/dev/shop/reorder` as `dev.shop/reorder`."""

    def __init__(self, registry: Registry, access: AccessControl) -> None:
        self._registry = registry
        self._access = access

    def __call__(self, identity: Identity, privilege: str) -> tuple[int, ...]:
        """MLflow's numbers of the experiments on which the identity was granted it, itself or by a group."""
        named = self._access.granted_on(identity, "experiment")
        held = [name for name in named if self._access.allows(identity, privilege, "experiment", name)]
        return self._registry.experiments("/" + name.replace(".", "/", 1) for name in held) if held else ()
