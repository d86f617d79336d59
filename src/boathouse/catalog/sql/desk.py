"""Users' queries: each is read, authorized and run in a worker process that knows only the granted tables."""

import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from boathouse.catalog.functions import Functions
from boathouse.catalog.service import Catalog
from boathouse.catalog.sql.changes import Asking, Changes
from boathouse.catalog.sql.plan import Identify, Plan, Planner
from boathouse.catalog.sql.queries import Queries, Query, Ticket
from boathouse.catalog.sql.result import QueryResult, RowStream
from boathouse.catalog.sql.statement_parser import parse_query, parse_statement
from boathouse.catalog.sql.statements import Select
from boathouse.catalog.sql.views import ViewMaker
from boathouse.errors import (
    BoathouseError,
    EngineCrashed,
    InvalidInput,
    LimitExceeded,
    NotFound,
    QueryCanceled,
)
from boathouse.identity import Identity
from boathouse.lake import UNKNOWN, QueryFailed, Run, WorkerPool, WorkerProcess, write_rows

Parameters = Mapping[str, Any] | Sequence[Any]


@dataclass(frozen=True)
class _Asked:
    """A query and how its answer shall come."""

    query: str
    environment: str
    parameters: Parameters | None = None
    form: str = "arrow"
    limit: int | None = None
    query_id: str = ""
    ticket: Ticket | None = None
    """Of the statement that the query is part of."""


class SqlDesk:
    """Runs users' queries, locked down, within limits of time and memory. Close it to end its workers."""

    def __init__(self, catalog: Catalog, functions: Functions, pool: WorkerPool | None = None, seconds: float = 300,
                 identify: Identify = Identity) -> None:  # fmt: skip
        self._pool = pool or WorkerPool()
        self._seconds = seconds
        self._planner = Planner(catalog, identify)
        self._changes = Changes(catalog, functions, ViewMaker(catalog, self._planner, self._pool))
        self._access = catalog.access
        self._audit = catalog.audit
        self._queries = Queries()

    @contextmanager
    def run(self, identity: Identity, query: str, environment: str, *, parameters: Parameters | None = None,
            limit: int | None = None, query_id: str = "") -> Iterator[QueryResult]:  # fmt: skip
        """The result of a query; two-level names mean `environment`, and `limit` cuts the rows off.

        Raises InvalidInput, LimitExceeded, NotPermitted, NotFound, QueryCanceled, EngineCrashed, Unavailable.
        """
        with self._result(identity, _Asked(parse_query(query), environment, parameters, "arrow", limit, query_id)) as result:
            yield result

    @contextmanager
    def stream(self, identity: Identity, query: str, environment: str, form: str, *, parameters: Parameters | None = None,
               limit: int | None = None, query_id: str = "") -> Iterator[RowStream]:  # fmt: skip
        """The same as bytes in a format: arrow, csv, json or parquet. Arrow and Parquet name the versions that were read."""
        with self._running(identity, _Asked(parse_query(query), environment, parameters, form, limit, query_id)) as rows:
            yield rows

    @contextmanager
    def execute(self, identity: Identity, statement: str, environment: str, form: str = "arrow", *,
                parameters: Parameters | None = None, query_id: str = "") -> Iterator[RowStream]:  # fmt: skip
        """Any statement: rows where it reads; else one row that says what it did to which version of what.

        Raises also AlreadyExists, Conflict.
        """
        said = parse_statement(statement)
        if isinstance(said, Select):
            with self.stream(identity, said.query, environment, form, parameters=parameters, query_id=query_id) as rows:
                yield rows
            return
        with self._ticket(identity, _Asked(statement, environment, parameters, form, query_id=query_id)) as ticket:
            ticket.running(lambda: None)

            def run(query: str, limit: int | None = None) -> AbstractContextManager[QueryResult]:
                return self._result(identity, _Asked(query, environment, parameters, "arrow", limit, ticket=ticket))

            def stream(query: str) -> AbstractContextManager[RowStream]:
                return self._running(identity, _Asked(query, environment, parameters, ticket=ticket))

            outcome = self._changes.do(Asking(identity, environment, parameters, run, stream), said)
            ticket.finished()
            chunks: list[bytes] = []
            write_rows(outcome.to_arrow().to_reader(), form, lambda chunk: chunks.append(bytes(chunk)))
            yield RowStream(ticket.query.id, iter(chunks), {}, UNKNOWN)

    def queries(self, identity: Identity) -> list[Query]:
        """The caller's queries, newest first; of whoever may MANAGE an environment, all that are asked in it."""
        manages: dict[str, bool] = {}
        return [q for q in self._queries.list() if self._may_see(identity, q, manages)]

    def query(self, identity: Identity, query_id: str) -> Query:
        """One query. Raises NotFound."""
        found = self._queries.ticket(query_id).query
        if not self._may_see(identity, found, {}):
            raise NotFound(f"there is no query {query_id}; `boathouse queries list` shows those there are")
        return found

    def cancel(self, identity: Identity, query_id: str) -> Query:
        """End a query. Raises NotFound."""
        found = self.query(identity, query_id)
        if not found.ended:
            self._audit.record(identity.principal, "cancel query", query_id, {"principal": found.principal})
            self.abandon(query_id, f"{identity.principal} canceled the query")
        return self._queries.ticket(query_id).query

    def abandon(self, query_id: str, why: str) -> None:
        """End a query that nobody waits for."""
        self._queries.ticket(query_id).stop(QueryCanceled(why))

    def warm(self) -> None:
        """Have a worker ready before the first query."""
        self._pool.warm()

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    def _may_see(self, identity: Identity, query: Query, manages: dict[str, bool]) -> bool:
        if query.principal == identity.principal:
            return True
        if query.environment not in manages:
            manages[query.environment] = self._access.allows(identity, "MANAGE", "catalog", query.environment)
        return manages[query.environment]

    @contextmanager
    def _result(self, identity: Identity, asked: _Asked) -> Iterator[QueryResult]:
        with self._running(identity, asked) as rows:
            yield QueryResult(rows)

    @contextmanager
    def _running(self, identity: Identity, asked: _Asked) -> Iterator[RowStream]:
        with self._ticket(identity, asked) as ticket, self._pool.worker() as worker:
            yield from self._answered(identity, asked, ticket, worker)

    @contextmanager
    def _ticket(self, identity: Identity, asked: _Asked) -> Iterator[Ticket]:
        """A ticket that ends in time, and tells how it ended."""
        if asked.ticket:
            yield asked.ticket
            return
        ticket = self._queries.add(asked.query_id or uuid.uuid4().hex, identity.principal, asked.environment, asked.query)
        seconds = self._seconds
        over = LimitExceeded(f"the query ran longer than {seconds:g} seconds and was ended; ask for less, or in parts")
        timer = threading.Timer(seconds, ticket.stop, [over])
        timer.daemon = True
        timer.start()
        try:
            yield ticket
        except BaseException as error:
            told = _told(error, ticket)
            ticket.ended(told)
            if told is error:
                raise
            raise told from error
        else:
            ticket.ended()
        finally:
            timer.cancel()

    def _answered(self, identity: Identity, asked: _Asked, ticket: Ticket, worker: WorkerProcess) -> Iterator[RowStream]:
        ticket.running(worker.stop)
        try:
            plan = self._planner.plan(worker, identity, asked.query, asked.environment)
            worker.start(_job(plan, asked))
            if ticket.reason:  # it was stopped before there was anything to stop
                worker.stop()
            chunks = _chunks(worker, ticket, alone=asked.ticket is None)
            rows = RowStream(ticket.query.id, chunks, plan.versions, plan.origin)
            try:
                next(chunks)  # planned, and its first rows are there
                yield rows
            finally:
                if not rows.complete or next(chunks, None) is not None:  # whoever asked has seen enough, or the query failed
                    worker.stop()
                    worker.settle()
        finally:
            ticket.idle()


def _job(plan: Plan, asked: _Asked) -> Run:
    given: Any = asked.parameters
    if given is not None:
        given = dict(given) if isinstance(given, Mapping) else list(given)
    read = {f"boathouse.read.{name}": str(version) for name, version in plan.versions.items()}
    return Run(0, plan.query, given, plan.setup, plan.scans, plan.folders, asked.form, asked.limit, read, plan.origin.to_dict())


def _chunks(worker: WorkerProcess, ticket: Ticket, alone: bool) -> Iterator[bytes]:
    """The worker's rows, its failures as our errors."""
    try:
        for chunk in worker.rows():
            ticket.sent += len(chunk)
            yield chunk
    except (QueryFailed, EngineCrashed) as error:
        told = _told(error, ticket)
        if alone:  # else it is the statement around it that ends, or goes on by another way
            ticket.ended(told)
        raise told from error


def _told(error: BaseException, ticket: Ticket) -> BaseException:
    """What whoever asked shall hear: why the query was stopped, where it was; else what is wrong with it."""
    if isinstance(error, QueryFailed):
        return ticket.reason or _failed(error)
    if type(error) is EngineCrashed and not error.details.get("told"):
        return ticket.reason or EngineCrashed(
            f"the query ended the process that ran it ({error}); other queries go on", told=True
        )
    return error


def _failed(failed: QueryFailed) -> BoathouseError:
    if failed.kind == "memory":
        return LimitExceeded(f"the query needs more memory than it may use: {failed}")
    if failed.kind == "crash":
        return EngineCrashed(f"the engine failed at the query, which is a fault of the engine: {failed}", told=True)
    return InvalidInput(f"the query failed: {failed}")
