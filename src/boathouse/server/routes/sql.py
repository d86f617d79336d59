"""SQL: rows of a query in the format that is asked for, and the queries that run."""

import contextlib
import re
import uuid
from contextlib import ExitStack
from dataclasses import asdict
from typing import Annotated, Any

import anyio
from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.types import Receive, Scope, Send

from boathouse.catalog import RowStream, SqlDesk
from boathouse.errors import InvalidInput, NotFound, NotPermitted
from boathouse.identity import Identity
from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1", tags=["sql"])
_FORMS = {
    "application/vnd.apache.arrow.stream": "arrow",
    "application/json": "json",
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
}
_THREADS = anyio.CapacityLimiter(96)
"""Threads of queries, apart from those of other requests: the slow readers of large results must not stop the rest."""


class Query(BaseModel):
    """A query; two-level names mean `environment`. `query_id` is for whoever wants to cancel it by that."""

    query: str
    environment: str = "dev"
    parameters: dict[str, Any] | list[Any] | None = None
    query_id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")] | None = None


@router.post("/sql")
def sql(body: Query, who: Caller, platform: Served, request: Request) -> Response:
    """Rows of a query, or what a statement did, streamed as Accept asks: JSON (the default), Arrow, CSV or Parquet."""
    if who.environment and body.environment != who.environment:
        raise NotPermitted(f"a run in {who.environment} asks in {who.environment}: write other environments' names in full")
    return QueryResponse(platform.sql, who, body, _form(request.headers.get("accept", "")))


@router.get("/sql")
def queries(who: Caller, platform: Served, running: bool = False) -> list[dict[str, Any]]:
    """Your queries that run, or ended lately; of whoever may MANAGE an environment, all that are asked in it."""
    return [asdict(q) for q in platform.sql.queries(who) if not running or not q.ended]


@router.get("/sql/{query_id}")
def query(query_id: str, who: Caller, platform: Served) -> dict[str, Any]:
    """One query: who asked it, how it goes, how it ended."""
    return asdict(platform.sql.query(who, query_id))


@router.delete("/sql/{query_id}")
def cancel(query_id: str, who: Caller, platform: Served) -> dict[str, Any]:
    """End a query; one that has ended already stays as it ended."""
    return asdict(platform.sql.cancel(who, query_id))


def _form(accept: str) -> str:
    """The first format that is known, in the order that the client names them. Raises InvalidInput."""
    asked = [re.split(r"\s*;", part.strip(), maxsplit=1)[0].lower() for part in accept.split(",") if part.strip()]
    for kind in asked:
        if kind in ("*/*", "application/*"):
            return "json"
        if kind in _FORMS:
            return _FORMS[kind]
    if asked:
        raise InvalidInput(f"rows do not come as {', '.join(asked)}; accept one of {', '.join(_FORMS)}")
    return "json"


class QueryResponse(Response):
    """A query's rows as they come. Whoever hangs up ends the query. With `reading`, a statement that changes is refused.

    A query that fails on its way ends the connection before the end of the body; its error is kept under its id.
    """

    def __init__(self, desk: SqlDesk, who: Identity, body: Query, form: str, *, reading: bool = False,
                 filename: str = "") -> None:  # fmt: skip
        super().__init__()
        self._reading = reading
        self._filename = filename
        self._desk = desk
        self._who = who
        self._body = body
        self._form = form
        self._id = body.query_id or uuid.uuid4().hex
        self._stack = ExitStack()
        self._gone = self._told = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the rows. Raises what goes wrong before the first of them."""
        fault: BaseException | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch, receive)
            try:
                await self._send(send)
            except Exception as error:
                fault = error
            finally:
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(self._close, limiter=_THREADS)
                group.cancel_scope.cancel()
        if fault:
            raise fault

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._told:  # an answer that is whole is a disconnection to ASGI, too
            return
        with contextlib.suppress(NotFound):  # it has not begun yet
            self._desk.abandon(self._id, "whoever asked has hung up")

    async def _send(self, send: Send) -> None:
        rows = await to_thread.run_sync(self._begin, limiter=_THREADS)
        media = next(kind for kind, form in _FORMS.items() if form == self._form)
        read = ", ".join(f"{name}={version}" for name, version in rows.versions.items())
        headers = {"content-type": media, "x-query-id": self._id, "x-table-versions": read}
        if self._filename:
            headers["content-disposition"] = f'attachment; filename="{self._filename}"'
        raw = [(k.encode(), v.encode("latin-1", "replace")) for k, v in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        try:
            while not self._gone and (chunk := await to_thread.run_sync(next, rows.chunks, None, limiter=_THREADS)) is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except Exception:
            return  # the status is sent: a body without an end tells that something went wrong, the query's record what
        self._told = not self._gone
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _begin(self) -> RowStream:
        body = self._body
        door = self._desk.stream if self._reading else self._desk.execute
        doing = door(
            self._who, body.query, body.environment, self._form, parameters=body.parameters, query_id=self._id
        )
        return self._stack.enter_context(doing)

    def _close(self) -> None:
        self._stack.close()
