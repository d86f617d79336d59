"""The registry's changes, on behalf of a caller: through the store behind MLflow, where grants and aliases are kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from fastapi import Request

from boathouse.errors import AlreadyExists, BoathouseError, InvalidInput, NotFound, NotPermitted, Unauthenticated, Unavailable
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.registry import Actor, acting_as
from boathouse.server.auth import allows


@contextmanager
def changing(request: Request, who: Identity, platform: Platform) -> Iterator[Any]:
    """The model store, which checks the caller's privileges and writes event and audit. Raises our errors, not MLflow's."""
    actor = Actor(who.principal, partial(allows, platform, who), who.environment, who.scratch, who.environment is not None)
    store = request.app.state.model_store()
    try:
        with acting_as(actor):
            yield store
    except BoathouseError:
        raise
    except Exception as error:
        if hasattr(error, "error_code"):  # MLflow's, which is not imported here
            raise from_mlflow(error) from error
        raise


def from_mlflow(error: Exception) -> BoathouseError:
    """An error of MLflow's stores as the one of ours that it stands for."""
    if isinstance(error.__cause__, BoathouseError):
        return error.__cause__
    code = str(getattr(error, "error_code", ""))
    known: dict[str, type[BoathouseError]] = {
        "RESOURCE_ALREADY_EXISTS": AlreadyExists, "RESOURCE_DOES_NOT_EXIST": NotFound, "PERMISSION_DENIED": NotPermitted,
        "INVALID_PARAMETER_VALUE": InvalidInput, "BAD_REQUEST": InvalidInput, "UNAUTHENTICATED": Unauthenticated,
        "TEMPORARILY_UNAVAILABLE": Unavailable,
    }  # fmt: skip
    return known.get(code, BoathouseError)(str(error))
