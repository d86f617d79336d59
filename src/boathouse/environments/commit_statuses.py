"""Commit statuses: what GitHub's and GitLab's APIs are told of a commit. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from boathouse.errors import InvalidInput

_LONGEST = 140
"""Characters of a description that GitHub takes."""
_GITLAB = "/api/v4/projects/"
_GITLAB_STATES = {"failure": "failed"}
_STATES = ("pending", "success", "failure")


@dataclass(frozen=True)
class StatusCall:
    """A POST."""

    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


def api_of(origin: str | None) -> str:
    """The API's address of the repository that an origin is. Raises InvalidInput where the host is none of the known ones."""
    host, path = _parts(origin or "")
    if host == "github.com":
        return f"https://api.github.com/repos/{path}"
    if "gitlab" in host:
        return f"https://{host}{_GITLAB}{quote(path, safe='')}"
    raise InvalidInput(
        f"the API of {origin or 'a project without a remote'} is not known: give it with --url, "
        f"https://HOST/api/v3/repos/OWNER/REPOSITORY (GitHub Enterprise) or https://HOST{_GITLAB}ID (GitLab)"
    )


def status_call(api: str, token: str, commit: str, check: str, outcome: Mapping[str, Any], page: str) -> StatusCall:
    """What tells the host how a check of a commit stands: `outcome` has `state` (pending, success, failure) and `reason`."""
    state = outcome.get("state") if outcome.get("state") in _STATES else "pending"
    text, context = str(outcome.get("reason") or "")[:_LONGEST], f"boathouse/{check}"
    if _GITLAB in api:
        body = {"state": _GITLAB_STATES.get(str(state), state), "name": context, "description": text, "target_url": page}
        return StatusCall(f"{api}/statuses/{commit}", {"PRIVATE-TOKEN": token}, body)
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    return StatusCall(f"{api}/statuses/{commit}", headers,
                      {"state": state, "context": context, "description": text, "target_url": page})  # fmt: skip


def _parts(origin: str) -> tuple[str, str]:
    """(host, path without .git) of https://…, ssh://… or git@host:path."""
    if "://" in origin:
        parts = urlsplit(origin)
        host, path = parts.hostname or "", parts.path
    else:
        where, _, path = origin.partition(":")
        host = where.rpartition("@")[2]
    return host.lower(), path.strip("/").removesuffix(".git")
