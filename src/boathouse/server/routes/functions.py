"""Registered Python functions."""

from typing import Any

from fastapi import APIRouter

from boathouse.catalog import FunctionInfo
from boathouse.errors import InvalidInput
from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1", tags=["functions"])


@router.get("/functions")
def functions(who: Caller, platform: Served, environment: str | None = None) -> list[dict[str, Any]]:
    """Functions the caller may execute."""
    return [f.to_dict() for f in platform.functions.functions(who, environment)]


@router.get("/functions/{name}")
def function(name: str, who: Caller, platform: Served, version: int | None = None) -> dict[str, Any]:
    """A function with its code; needs EXECUTE."""
    return platform.functions.function(who, name, version).to_dict()


@router.put("/functions/{name}")
def create_function(name: str, body: dict[str, Any], who: Caller, platform: Served, replace: bool = False,
                    force: bool = False) -> dict[str, Any]:  # fmt: skip
    """Register a function; needs CREATE FUNCTION on the schema, and MANAGE to replace one."""
    try:
        described = FunctionInfo.from_dict({**body, "name": name})
    except (KeyError, TypeError) as error:
        raise InvalidInput(f"a function has name, parameters, returns, source and entry: {error}") from error
    return platform.functions.create(who, described, or_replace=replace, force=force).to_dict()


@router.delete("/functions/{name}")
def drop_function(name: str, who: Caller, platform: Served, force: bool = False) -> None:
    """Forget a function; needs MANAGE."""
    platform.functions.drop(who, name, force)
