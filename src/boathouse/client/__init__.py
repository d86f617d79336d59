"""The same verbs over HTTP: what a shell, a notebook, a task and the command line hold in their hands."""

from typing import TYPE_CHECKING, Any

from boathouse.client.connection import Connection
from boathouse.client.credentials import Credentials
from boathouse.client.http import Http
from boathouse.client.login import by_browser, by_identity_token, by_password

if TYPE_CHECKING:
    from boathouse.client.lake import Lake

__all__ = ["Connection", "Credentials", "Http", "Lake", "by_browser", "by_identity_token", "by_password"]


def __getattr__(name: str) -> Any:
    if name != "Lake":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from boathouse.client.lake import Lake  # frames and engines take seconds to import, which lists need not wait for

    return Lake
