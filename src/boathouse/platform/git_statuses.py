"""Checks of merge requests, told to the Git host as statuses of their commits."""

from collections.abc import Callable

import httpx

from boathouse.environments import Projects, Remotes, status_call
from boathouse.errors import NotFound, Unavailable
from boathouse.events import Message, Notice, Notifications, check_address

CHANNEL = "commit_status"
_ENVIRONMENT = "staging"
_TIMEOUT = 30.0


class GitStatuses:
    """A channel of notifications: tried for a day, listed, and sent again by hand like the others.

    What is sent is how the check stands then, so that a late try tells nothing old.
    """

    def __init__(self, projects: Projects, remotes: Remotes, private: bool, url: Callable[[], str]) -> None:
        self._projects = projects
        self._remotes = remotes
        self._private = private
        self._url = url

    def note(self, notifications: Notifications, number: int, check: str) -> None:
        """A check of a merge request stands otherwise than before; in the caller's transaction."""
        request = self._projects.request(number)
        if self._remotes.statuses(request.project) is None:
            return
        outcome = request.checks[check]
        state = str(outcome.get("state"))
        said = f"{check} of merge request {number}: {state}"
        key = f"status {number} {request.head} {check} {state} {outcome.get('run') or ''} {outcome.get('reason') or ''}"
        notifications.add([Notice(key[:900], _ENVIRONMENT, "commit_status", request.project, CHANNEL, request.project,
                                  "admins", said, said, {"request": number, "check": check})])  # fmt: skip

    def __call__(self, address: str, message: Message) -> None:
        """Tell the host. Raises Unavailable for a refusal, InvalidInput for an address that is not allowed."""
        request, check = self._projects.request(int(message.body["request"])), str(message.body["check"])
        told = self._remotes.statuses(address)
        if told is None:
            raise NotFound(f"{address} tells no Git host any more; `boathouse projects statuses {address}` lets it")
        call = status_call(*told, request.head, check, request.checks.get(check, {}), f"{self._url()}/requests/{request.id}")
        check_address(call.url, self._private)
        answer = httpx.post(call.url, json=dict(call.body), headers=dict(call.headers), timeout=_TIMEOUT, follow_redirects=False)
        if not answer.is_success:
            raise Unavailable(f"{address}: the Git host answered {answer.status_code}: {answer.text[:200]}")
