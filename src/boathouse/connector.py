"""How code that finds no open connection makes one. The package's door fills this in; rooms only ask."""

from collections.abc import Callable
from typing import Any

_connect: list[Callable[[], Any]] = []


def connect_with(connect: Callable[[], Any]) -> None:
    """Say how a connection is made."""
    _connect[:] = [connect]


def connect() -> Any:
    """A new connection, made as the package's door said."""
    return _connect[0]()
