"""Where events go: a server that speaks OpenLineage, a file with one event a line, or standard output."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import httpx

from boathouse.errors import InvalidInput


class Send(Protocol):
    """Sends one event. Raises `Refused` where the receiver will never take it, any other error where it may later."""

    def __call__(self, event: Mapping[str, Any], /) -> None:
        """Send."""

    def close(self) -> None:
        """Let go of the connection."""


_NEVER = (400, 409, 413, 422)
_DEFAULT_PATH = "/api/v1/lineage"


class Refused(Exception):
    """The receiver says that the event itself is wrong."""


def sender(url: str, token: str | None = None) -> Send:
    """What sends to a URL: `http(s)://…`, `file:///…` or `console:`. Raises InvalidInput for another one."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https") and parts.netloc:
        return _Server(url if parts.path.strip("/") else url.rstrip("/") + _DEFAULT_PATH, token)
    if parts.scheme == "file" and parts.path:
        return _File(Path(unquote(parts.path)))
    if parts.scheme == "console":
        return _Console()
    raise InvalidInput(f"the setting openlineage_url is {url!r}; write http://…, https://…, file:///… or console:")


class _Server:
    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(timeout=15, headers=headers)

    def __call__(self, event: Mapping[str, Any]) -> None:
        answer = self._client.post(self._url, json=event)
        if answer.status_code in _NEVER:
            raise Refused(f"{answer.status_code}: {answer.text[:300]}")
        answer.raise_for_status()

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


class _Console:
    def __call__(self, event: Mapping[str, Any]) -> None:
        print(json.dumps(event), file=sys.stdout, flush=True)

    def close(self) -> None:
        """Nothing is held."""


class _File:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Whole lines only, whoever writes beside us, and on the disk before the next."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        try:
            os.write(descriptor, json.dumps(event).encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Nothing is held."""
