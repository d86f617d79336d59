"""Queries: what a ticket means, prepared statements with their parameters, and rows as a stream that can be cut off."""

import json
import secrets
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.flight as fl

from boathouse.errors import BoathouseError, InvalidInput, NotFound, NotPermitted
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.flight.speech import translated

_PREPARED = 1000
_WATCH_SECONDS = 0.1


@dataclass(frozen=True)
class Statement:
    """A query as a ticket carries it. It grants nothing: whoever brings it is asked as if they had written it."""

    query: str
    environment: str
    query_id: str
    parameters: Sequence[Any] | None = None

    def handle(self) -> bytes:
        """The statement as bytes that only we read."""
        return json.dumps(asdict(self), default=str).encode()

    @classmethod
    def of(cls, handle: bytes | None) -> "Statement":
        """From `handle`. Raises InvalidInput."""
        try:
            return cls(**json.loads(handle or b""))
        except (ValueError, TypeError) as error:
            raise InvalidInput("the ticket is not one that this server gave") from error


def statement(query: str | None, environment: str) -> Statement:
    """A new statement. Raises InvalidInput for an empty one."""
    if not query or not query.strip():
        raise InvalidInput("there is no query in the statement")
    return Statement(query, environment, uuid.uuid4().hex)


@dataclass
class Prepared:
    """A prepared statement: its query, whose it is, and the parameters that were bound last."""

    query: str
    environment: str
    principal: str
    parameters: Sequence[Any] | None = None


class PreparedStatements:
    """Prepared statements until they are closed; the oldest go when there are too many."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, Prepared] = OrderedDict()

    def add(self, query: str, environment: str, who: Identity) -> bytes:
        """A handle for a new one."""
        handle = secrets.token_bytes(16)
        with self._lock:
            self._kept[handle] = Prepared(query, environment, who.principal)
            while len(self._kept) > _PREPARED:
                self._kept.popitem(last=False)
        return handle

    def get(self, handle: bytes | None, who: Identity) -> Prepared:
        """One of the caller's. Raises NotFound."""
        with self._lock:
            found = self._kept.get(handle or b"")
        if found is None or found.principal != who.principal:
            raise NotFound("there is no such prepared statement: prepare it again")
        return found

    def close(self, handle: bytes | None, who: Identity) -> None:
        """Forget one of the caller's."""
        with suppress(NotFound):
            self.get(handle, who)
            with self._lock:
                self._kept.pop(handle or b"", None)


def one_row(rows: pa.Table) -> list[Any] | None:
    """The parameters in what was bound. Raises InvalidInput for several rows."""
    if rows.num_rows > 1:
        raise InvalidInput(f"{rows.num_rows} rows of parameters were bound: a query takes one")
    return [column[0].as_py() for column in rows.columns] if rows.num_rows else None


def schema_of(platform: Platform, who: Identity, asked: Statement) -> pa.Schema:
    """The columns of a query's answer, of which no row is computed. Raises what the query would raise."""
    with platform.sql.run(who, asked.query, asked.environment, parameters=asked.parameters, limit=0) as result:
        return result.schema


class Streams:
    """The queries whose rows are on their way, so that all of them can be ended."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._running: set[str] = set()

    def open(self, who: Identity, asked: Statement, context: fl.ServerCallContext) -> fl.FlightDataStream:
        """The rows of a query as they come. A caller who hangs up before the first of them ends the query, too."""
        batches = self._batches(who, asked, context)
        schema = next(batches)  # begun, so that its end is heard of even if nobody reads on
        return fl.GeneratorStream(schema, batches)

    def end(self) -> None:
        """End all of them."""
        for query_id in tuple(self._running):
            with suppress(BoathouseError):
                self._platform.sql.abandon(query_id, "the server ends")

    def _batches(self, who: Identity, asked: Statement, context: fl.ServerCallContext) -> Iterator[Any]:
        query_id = _unused(self._platform, who, asked.query_id)
        self._running.add(query_id)
        try:
            yield from _batches(self._platform, who, replace(asked, query_id=query_id), context)
        finally:
            self._running.discard(query_id)


def _batches(platform: Platform, who: Identity, asked: Statement, context: fl.ServerCallContext) -> Iterator[Any]:
    if who.environment not in (None, asked.environment):
        raise NotPermitted(f"this token is for {who.environment}, and the ticket for {asked.environment}")
    with ExitStack() as stack:
        with _watched(platform, asked.query_id, context):
            result = stack.enter_context(
                platform.sql.run(who, asked.query, asked.environment, parameters=asked.parameters, query_id=asked.query_id)
            )
        yield result.schema
        try:
            yield from result.reader()
        except BoathouseError as error:
            raise translated(error) from error


def _unused(platform: Platform, who: Identity, query_id: str) -> str:
    """The id that came with the ticket, or another where the ticket was used before."""
    try:
        return uuid.uuid4().hex if platform.sql.query(who, query_id) else query_id
    except NotFound:
        return query_id


class _watched:
    """While the block runs, a caller who has hung up ends the query."""

    def __init__(self, platform: Platform, query_id: str, context: fl.ServerCallContext) -> None:
        self._platform = platform
        self._query_id = query_id
        self._context = context
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="flight-watch", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_WATCH_SECONDS):
            if self._context.is_cancelled():
                with suppress(BoathouseError):
                    self._platform.sql.abandon(self._query_id, "whoever asked has hung up")
                return
