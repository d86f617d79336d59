"""Secrets of the environment: `lake.secrets.get("scope/key")`."""

from typing import Any
from urllib.parse import quote

from boathouse.client.http import Http


class Secrets:
    """What tasks and people may read by a grant; what a run reads is hidden in its logs."""

    def __init__(self, http: Http, environment: str) -> None:
        self._http = http
        self._at = f"/api/v1/secrets/{environment}"

    def get(self, name: str) -> str:
        """The value of `scope/key`; needs READ SECRET on the scope. Raises NotFound, NotPermitted, InvalidName."""
        return str(self._http.call("GET", f"{self._at}/{_path(name)}")["value"])

    def put(self, name: str, value: str) -> Any:
        """Keep a value; needs MANAGE on the scope, for a new scope on the environment."""
        return self._http.call("PUT", f"{self._at}/{_path(name)}", {"value": value})

    def list(self) -> Any:
        """Scopes and keys that you may know of; no values."""
        return self._http.call("GET", self._at)

    def delete(self, name: str) -> int:
        """Delete `scope/key`, or `scope` with all that is in it; how many secrets. Needs MANAGE on the scope."""
        return int(self._http.call("DELETE", f"{self._at}/{_path(name) if '/' in name else quote(name, safe='')}")["deleted"])


def _path(name: str) -> str:
    scope, _, key = name.partition("/")
    return f"{quote(scope, safe='') or '-'}/{quote(key, safe='') or '%20'}"
