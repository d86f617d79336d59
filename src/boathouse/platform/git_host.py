"""Deliveries of Git hosts: the server's copy is brought up to date, and requests for main are tested."""

import json
from collections.abc import Mapping
from typing import Any

from boathouse.environments import HostEvent, Projects, Remotes, check_delivery, read_event
from boathouse.errors import InvalidInput
from boathouse.identity import Identities, Identity
from boathouse.platform.code import CodeDelivery

PRINCIPAL = "git-host"
"""In whose name requests of a host are tested; it holds no privilege."""


class GitHost:
    """Takes in what a Git host tells."""

    def __init__(self, identities: Identities, projects: Projects, remotes: Remotes, code: CodeDelivery) -> None:
        self._identities = identities
        self._projects = projects
        self._remotes = remotes
        self._code = code

    def receive(self, project: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """Take in a delivery; what was done. The same one again does nothing more.

        Raises Unauthenticated for one that does not carry the project's secret, and InvalidInput.
        """
        check_delivery(self._remotes.secret(project), headers, body)
        try:
            told = json.loads(body)
        except ValueError as error:
            raise InvalidInput("the delivery is no JSON: choose application/json as its content type") from error
        event = read_event(headers, told)
        if event.kind == "other":
            return {"event": "other"}
        moved = self._remotes.fetch(project)
        done: dict[str, Any] = {"event": event.kind, "branch": event.branch, "moved": moved}
        if event.kind in ("request", "closed"):
            done["request"] = self._follow(project, event)
        return done

    def _follow(self, project: str, event: HostEvent) -> int | None:
        """Test a request's newest commit, once; a request that it replaces, and one that was closed, is under test no more."""
        head = self._projects.repository(project).branches().get(event.branch)
        there = [r for r in self._projects.requests(project) if r.branch == event.branch and r.state == "open"]
        self._identities.ensure(PRINCIPAL, "service_principal")
        host = Identity(PRINCIPAL, frozenset())
        if event.kind == "closed":
            return next((self._projects.close_request(host, request.id).id for request in there), None)
        if there and there[0].head == head:
            return there[0].id
        return self._code.open_request(host, project, event.branch, event.title).id
