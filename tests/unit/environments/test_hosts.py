"""Deliveries of GitHub and GitLab."""

import hashlib
import hmac
from typing import Any

import pytest

from boathouse.environments import HostEvent, check_delivery, read_event
from boathouse.errors import InvalidInput, Unauthenticated

BODY = b'{"ref": "refs/heads/main"}'


def signed(secret: str, body: bytes = BODY) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-github-event": "push", "x-hub-signature-256": f"sha256={digest}"}


def pull_request(action: str, repo: str = "acme/shop", base: str = "main") -> dict[str, Any]:
    own = {"full_name": "acme/shop"}
    head = {"ref": "work", "repo": {"full_name": repo}}
    return {"action": action, "pull_request": {"title": "Work", "head": head, "base": {"ref": base, "repo": own}}}


def test_a_delivery_with_the_secret_passes() -> None:
    check_delivery("hush", signed("hush"), BODY)
    check_delivery("hush", {"x-gitlab-event": "Push Hook", "x-gitlab-token": "hush"}, BODY)


@pytest.mark.parametrize(
    ("secret", "headers"),
    [
        ("hush", {}), ("hush", signed("other")), ("hush", signed("hush", b"{}")), (None, signed("hush")), ("", signed("")),
        ("hush", {"x-gitlab-event": "Push Hook"}), ("hush", {"x-github-event": "push", "x-gitlab-token": "hush"}),
    ],
)  # fmt: skip
def test_any_other_delivery_is_refused(secret: str | None, headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated):
        check_delivery(secret, headers, BODY)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (pull_request("opened"), "request"), (pull_request("synchronize"), "request"), (pull_request("closed"), "closed"),
        (pull_request("labeled"), "other"), (pull_request("opened", base="other"), "other"),
        (pull_request("opened", repo="stranger/shop"), "other"),
    ],
)  # fmt: skip
def test_github_tells_of_requests_for_main_of_its_own_branches(body: dict[str, Any], kind: str) -> None:
    assert read_event({"x-github-event": "pull_request"}, body).kind == kind


@pytest.mark.parametrize(("source", "kind"), [(7, "request"), (8, "other")])
def test_gitlab_tells_of_merge_requests_of_its_own_branches(source: int, kind: str) -> None:
    about = {"action": "open", "source_project_id": source, "target_project_id": 7, "target_branch": "main",
             "source_branch": "work", "title": "Work"}  # fmt: skip
    assert read_event({"x-gitlab-event": "Merge Request Hook"}, {"object_attributes": about}).kind == kind


def test_pushes_name_their_branch_and_other_events_are_nothing() -> None:
    assert read_event({"x-github-event": "push"}, {"ref": "refs/heads/release/1"}) == HostEvent("push", "release/1")
    assert read_event({"x-gitlab-event": "Push Hook"}, {"ref": "refs/heads/main"}) == HostEvent("push", "main")
    assert read_event({"x-github-event": "ping"}, {}).kind == "other"


def test_a_body_of_another_shape_is_refused_in_words() -> None:
    with pytest.raises(InvalidInput, match="lacks 'ref'"):
        read_event({"x-github-event": "push"}, {})
