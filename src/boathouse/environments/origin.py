"""Where a project's code comes from: a path on this machine, ssh or https. Pure."""

import base64
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from boathouse.errors import InvalidInput

_SCP = re.compile(r"^(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!/?/)[^\s:][^\s]*$")


@dataclass(frozen=True)
class Origin:
    """A remote, and the one transport that git may use for it."""

    url: str
    transport: str

    def headers(self, token: str | None) -> dict[str, str]:
        """The environment that gives git a token for an https remote, unseen in any list of processes."""
        if not token or self.transport != "https":
            return {}
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"http.{self.url}.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}"}  # fmt: skip


def parse_origin(url: str) -> Origin:
    """A remote as people write it: /srv/code.git, file:///srv/code.git, git@host:group/code.git, ssh://…, https://….

    Raises InvalidInput for other transports, and for a URL with a password in it, which lists would show.
    """
    if url.startswith("/"):
        return Origin(str(PurePosixPath(url)), "file")
    parts = urlsplit(url) if "://" in url else None
    if parts is None and _SCP.match(url):
        return Origin(url, "ssh")
    if parts is None or parts.scheme not in ("file", "ssh", "https") or any(c.isspace() for c in url):
        raise InvalidInput(f"{url!r} is no Git remote that is taken: write https://…, ssh://…, git@host:path or an absolute path")
    if parts.scheme == "file":
        return parse_origin(parts.path)
    if parts.password or (parts.scheme == "https" and parts.username):
        raise InvalidInput("a remote is kept without its password: give the token with --token-stdin")
    if not parts.hostname or parts.hostname.startswith("-"):
        raise InvalidInput(f"{url!r} names no host")
    return Origin(url, parts.scheme)
