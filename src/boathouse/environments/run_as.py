"""As whom a job's tasks run: as the environment's own service principal, or as whom its `run_as` names. Pure."""

from collections.abc import Mapping
from typing import Any

from boathouse.environments.setup import service_principal

_KINDS = {"user_name": "user", "service_principal_name": "service_principal"}


def named_principal(job: Mapping[str, Any]) -> tuple[str, str] | None:
    """(kind, name) of the principal that a job's definition names; None where it names none."""
    named = job.get("run_as") or {}
    return next(((kind, str(named[key])) for key, kind in _KINDS.items() if named.get(key)), None)


def principal_of(environment: str, job: Mapping[str, Any]) -> str:
    """The principal of a job's runs."""
    named = named_principal(job)
    return named[1] if named else service_principal(environment)


def is_lent(environment: str, principal: str) -> bool:
    """Whether runs as this principal have rights that the environment's own jobs may lack, or may exceed."""
    return principal != service_principal(environment)
