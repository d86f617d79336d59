"""The queries that run, wait or ended lately: who asked what, how long it took, and the handle that ends one."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from boathouse import clock
from boathouse.errors import BoathouseError, Conflict, NotFound, QueryCanceled

State = Literal["QUEUED", "RUNNING", "FINISHED", "FAILED", "CANCELED"]
_KEPT = 500
_TEXT = 4000


@dataclass(frozen=True)
class Query:
    """A query as lists show it. `seconds` counts from when it was asked; `bytes` is what was sent of its rows."""

    id: str
    principal: str
    environment: str
    query: str
    state: State
    started_at: datetime
    seconds: float = 0.0
    bytes: int = 0
    error_code: str = ""
    error: str = ""

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self.state not in ("QUEUED", "RUNNING")


class Ticket:
    """A query under way. Its thread tells what happens; any thread may `stop` it, with the error it then ends with."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._stop: Callable[[], None] | None = None
        self.reason: BoathouseError | None = None
        self.sent = 0

    @property
    def query(self) -> Query:
        """As it stands now."""
        if self._query.ended:
            return self._query
        return replace(self._query, seconds=time.monotonic() - self._begun, bytes=self.sent)

    def running(self, stop: Callable[[], None]) -> None:
        """It is being done, and `stop` ends that. Raises what `stop` was called with before."""
        with self._lock:
            if self.reason:
                raise self.reason
            self._stop = stop
            self._query = replace(self._query, state="RUNNING")

    def stop(self, reason: BoathouseError) -> None:
        """End it with an error; the first reason stays. What has ended already stays as it ended."""
        with self._lock:
            if self._query.ended or self.reason:
                return
            self.reason = reason
            if self._stop:  # under the lock: a worker that was given back must not be stopped at another's query
                self._stop()

    def idle(self) -> None:
        """Nothing is left to stop for now."""
        with self._lock:
            self._stop = None

    def finished(self) -> None:
        """It did what was asked, even if somebody wanted to stop it too late."""
        with self._lock:
            self._query = replace(self.query, state="FINISHED")
            self._stop = None

    def ended(self, error: BaseException | None = None) -> None:
        """It runs no more. What was said first stays."""
        with self._lock:
            if self._query.ended:
                return
            error = error or self.reason
            state: State = "CANCELED" if isinstance(error, QueryCanceled) else "FAILED" if error else "FINISHED"
            code = error.error_code if isinstance(error, BoathouseError) else type(error).__name__ if error else ""
            self._query = replace(self.query, state=state, error_code=code, error=str(error or ""))
            self._stop = None


class Queries:
    """All queries of this process, the newest last; those that ended are kept for a while."""

    def __init__(self) -> None:
        self._tickets: OrderedDict[str, Ticket] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, id: str, principal: str, environment: str, text: str) -> Ticket:
        """A query that waits. Raises Conflict when the id is taken; asking again, one may use an id again."""
        ticket = Ticket(Query(id, principal, environment, text[:_TEXT], "QUEUED", clock.now()))
        with self._lock:
            known = self._tickets.pop(id).query if id in self._tickets and self._tickets[id].query.ended else None
            if id in self._tickets or (known and known.principal != principal):
                raise Conflict(f"there is a query {id} already; leave the id out, or choose another")
            self._tickets[id] = ticket
            old = [i for i, t in self._tickets.items() if t.query.ended]
            for gone in old[: max(0, len(old) - _KEPT)]:
                del self._tickets[gone]
        return ticket

    def ticket(self, id: str) -> Ticket:
        """A query by its id. Raises NotFound."""
        with self._lock:
            if ticket := self._tickets.get(id):
                return ticket
        raise NotFound(f"there is no query {id}; `boathouse queries list` shows those there are")

    def list(self) -> list[Query]:
        """All, newest first."""
        with self._lock:
            tickets: list[Any] = list(self._tickets.values())
        return [t.query for t in reversed(tickets)]
