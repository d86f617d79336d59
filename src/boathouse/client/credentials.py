"""Tokens by the address of their server, in one file that only its owner reads."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from boathouse.errors import InvalidInput

Entries = dict[str, dict[str, str]]


class Credentials:
    """What `boathouse login` remembers: for each server a token and whose it is."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def token(self, url: str) -> str | None:
        """The token for a server, if one is remembered. Raises InvalidInput."""
        return self._read().get(place(url), {}).get("token")

    def put(self, url: str, principal: str, token: str) -> None:
        """Remember a token in place of the server's former one."""
        self._change(lambda entries: entries.update({place(url): {"principal": principal, "token": token}}))

    def remove(self, url: str) -> str | None:
        """Forget a server's token; the token that was."""
        former = self.token(url)
        self._change(lambda entries: entries.pop(place(url), None))
        return former

    def _read(self) -> Entries:
        try:
            entries: Entries = json.loads(self.path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise InvalidInput(f"{self.path} cannot be read ({error}); remove it and log in again") from error
        return entries

    def _change(self, change: Callable[[Entries], object]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(f"{self.path}.lock"):
            entries = self._read()
            change(entries)
            fresh = self.path.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(entries, file, indent=2)
            fresh.replace(self.path)


def place(url: str) -> str:
    """A server's address in one spelling. Raises InvalidInput for what is none."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(f"{url!r} is no server's address: write http://… or https://…")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port not in (None, {"http": 80, "https": 443}[parts.scheme]) else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
