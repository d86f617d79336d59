"""Registered models and their versions."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from boathouse.client.http import Http
from boathouse.errors import Unavailable


class Models:
    """Models by two- or three-level names."""

    def __init__(self, http: Http, complete: Callable[[str], str]) -> None:
        self._http = http
        self._complete = complete

    def all(self, *, environment: str | None = None, search: str | None = None, tags: Sequence[str] = ()) -> Any:
        """Models you may see, with their Production version.

        `search` is a part of name or description, `tags` are `KEY` or `KEY=VALUE`.
        """
        asked = {"environment": environment, "search": search, "tag": list(tags) or None}
        return list(self._http.pages("/api/v1/models", {k: v for k, v in asked.items() if v}))

    def get(self, name: str) -> Any:
        """A model with its versions, stages, verdicts and history."""
        return self._http.call("GET", f"/api/v1/models/{self._complete(name)}")

    def version(self, name: str, version: str) -> Any:
        """One version."""
        return self._http.call("GET", f"/api/v1/models/{self._complete(name)}/versions/{version}")

    def promote(self, name: str, version: str, reason: str = "by hand") -> Any:
        """Make a version Production; needs PROMOTE, and the version's verdict to be a pass."""
        return self._act(name, version, "promote", reason)

    def approve(self, name: str, version: str, reason: str = "") -> Any:
        """Approve a version that waits; needs APPROVE."""
        return self._act(name, version, "approve", reason)

    def reject(self, name: str, version: str, reason: str = "") -> Any:
        """Refuse a version that waits; needs APPROVE."""
        return self._act(name, version, "reject", reason)

    def rollback(self, name: str, reason: str = "rolled back by hand") -> Any:
        """Make the former Production version Production again."""
        return self._http.call("POST", f"/api/v1/models/{self._complete(name)}/rollback", {"reason": reason})

    def delete(self, name: str, version: int | None = None, *, force: bool = False) -> None:
        """Delete a model, or one version; needs MANAGE. Refused for Production and, unless forced, while it is in use."""
        asked = {"force": force} | ({} if version is None else {"version": version})
        self._http.call("DELETE", f"/api/v1/models/{self._complete(name)}", params=asked)

    def describe(self, name: str, version: str | None = None, *, description: str | None = None,
                 tags: Mapping[str, str | None] | None = None) -> Any:  # fmt: skip
        """Describe and tag a model, or a version; a tag that is None goes, what is left out stays."""
        path = f"/api/v1/models/{self._complete(name)}" + (f"/versions/{version}" if version else "")
        return self._http.call("PATCH", path, {"description": description, "tags": dict(tags or {})})

    def comment(self, name: str, text: str, version: str | None = None) -> Any:
        """Say something about a model, or a version of it; the comment's id."""
        path = f"/api/v1/models/{self._complete(name)}/comments"
        return self._http.call("POST", path, {"text": text, "version": version})["id"]

    def comments(self, name: str, version: int | None = None) -> Any:
        """What was said about a model and its versions, or one version; oldest first."""
        asked = {} if version is None else {"version": version}
        return self._http.call("GET", f"/api/v1/models/{self._complete(name)}/comments", params=asked)

    def uncomment(self, name: str, number: int) -> None:
        """Take a comment away: your own, or with MANAGE on the model anybody's."""
        self._http.call("DELETE", f"/api/v1/models/{self._complete(name)}/comments/{number}")

    def copy(self, name: str, version: str, to: str) -> Any:
        """Copy a version to an environment, or to a model by its full name; needs EXECUTE here and CREATE MODEL there.

        `model` and `version` of the copy, what it was `copied_from`, and the mode of `delivery` that tests it, or None.
        """
        path = f"/api/v1/models/{self._complete(name)}/versions/{version}/copy"
        return self._http.call("POST", path, {"to": to})

    def reproduce(self, name: str, version: str, tolerance: float | None = None, seconds: float = 7200) -> Any:
        """Make a version again from its record, apart from everything, and compare the two.

        The report: `verdict` (bit-equal, within tolerance, different), the first `cause` of a difference, `comparison`
        (parameters, metrics, predictions). Raises InvalidInput for a version without a record, Unavailable when it takes
        longer than so many seconds.
        """
        path = f"/api/v1/models/{self._complete(name)}/versions/{version}/reproduce"
        started = self._http.call("POST", path, {} if tolerance is None else {"tolerance": tolerance})["id"]
        limit = time.monotonic() + seconds
        while (report := self._http.call("GET", f"/api/v1/reproductions/{started}"))["state"] != "DONE":
            if time.monotonic() > limit:
                raise Unavailable(f"the reproduction {started} takes longer than {seconds:.0f} s; it goes on")
            time.sleep(0.3)
        return report

    def _act(self, name: str, version: str, verb: str, reason: str) -> Any:
        return self._http.call("POST", f"/api/v1/models/{self._complete(name)}/versions/{version}/{verb}", {"reason": reason})
