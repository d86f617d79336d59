"""What Git hosts say: whether a delivery is theirs, and what happened there. Pure."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from boathouse.errors import InvalidInput, Unauthenticated

_GITHUB, _GITLAB = "x-github-event", "x-gitlab-event"
_OPENED = ("opened", "reopened", "synchronize", "open", "reopen", "update")
_CLOSED = ("closed", "close", "merge")


@dataclass(frozen=True)
class HostEvent:
    """A push, a request for main whose branch lies in the same repository, or something that is nothing to us."""

    kind: Literal["push", "request", "closed", "other"]
    branch: str = ""
    title: str = ""


def check_delivery(secret: str | None, headers: Mapping[str, str], body: bytes) -> None:
    """Pass a delivery that carries the secret: GitHub's HMAC-SHA256 of the body, or GitLab's token. Raises Unauthenticated."""
    if secret:
        signed = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        if _GITHUB in headers and _same(headers.get("x-hub-signature-256", ""), signed):
            return
        if _GITLAB in headers and _same(headers.get("x-gitlab-token", ""), secret):
            return
    raise Unauthenticated("this webhook has no project here that shares its secret")


def read_event(headers: Mapping[str, str], body: Mapping[str, Any]) -> HostEvent:
    """What a delivery tells. Raises InvalidInput for a body that is not one of the host's."""
    try:
        if _GITHUB in headers:
            return _github(headers[_GITHUB], body)
        return _gitlab(headers[_GITLAB], body)
    except (KeyError, TypeError) as error:
        raise InvalidInput(f"the delivery lacks {error}: send it as JSON") from error


def _github(event: str, body: Mapping[str, Any]) -> HostEvent:
    if event == "push":
        return HostEvent("push", str(body["ref"]).removeprefix("refs/heads/"))
    if event != "pull_request":
        return HostEvent("other")
    request = body["pull_request"]
    head, base = request["head"], request["base"]
    own = (head.get("repo") or {}).get("full_name") == base["repo"]["full_name"]
    return _request(str(body["action"]), own, str(base["ref"]), str(head["ref"]), str(request["title"]))


def _gitlab(event: str, body: Mapping[str, Any]) -> HostEvent:
    if event == "Push Hook":
        return HostEvent("push", str(body["ref"]).removeprefix("refs/heads/"))
    if event != "Merge Request Hook":
        return HostEvent("other")
    about = body["object_attributes"]
    own = about["source_project_id"] == about["target_project_id"]
    return _request(str(about.get("action")), own, str(about["target_branch"]), str(about["source_branch"]), str(about["title"]))


def _request(action: str, own: bool, base: str, branch: str, title: str) -> HostEvent:
    """A fork's branch is not in the origin, and its code is a stranger's: people open requests for it themselves."""
    if not own or base != "main":
        return HostEvent("other")
    if action in _CLOSED:
        return HostEvent("closed", branch, title)
    return HostEvent("request", branch, title) if action in _OPENED else HostEvent("other")


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
