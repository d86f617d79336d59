"""Arrow Flight SQL: BI tools and ADBC ask here, under the same grants as everywhere."""

import threading
from collections.abc import Iterator
from contextlib import suppress

import pyarrow as pa
import pyarrow.flight as fl

from boathouse.errors import InvalidInput, NotFound, PortInUse
from boathouse.platform import Platform
from boathouse.server.flight import metadata, protobuf, sql_info
from boathouse.server.flight.speech import Caller, Gate, Handshake, spoken
from boathouse.server.flight.statements import (
    PreparedStatements,
    Statement,
    Streams,
    one_row,
    schema_of,
    statement,
)

_GATE = "gate"
ACTIONS = {
    "CreatePreparedStatement": "Prepare a query", "ClosePreparedStatement": "Forget a prepared query",
    "CancelFlightInfo": "End a query", "CancelQuery": "End a query, as older clients ask it",
}  # fmt: skip
_PATIENCE_SECONDS = 5
_CANCELLED, _NOT_CANCELLABLE = 1, 3


class FlightSql(fl.FlightServerBase):  # type: ignore[misc]
    """Answers Flight SQL's commands over a platform, on loopback, from when it is made until `stop`.

    `serve` is never called: it would only wait, and take the process's signals away from whoever waits for them.
    """

    def __init__(self, platform: Platform, port: int = 0) -> None:
        try:
            super().__init__(f"grpc://127.0.0.1:{port}", auth_handler=Handshake(), middleware={_GATE: Gate(platform)})
        except (OSError, pa.ArrowException) as error:
            raise PortInUse(f"port {port} is in use; choose another with --flight-port") from error
        self._platform = platform
        self._prepared = PreparedStatements()
        self._streams = Streams(platform)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"grpc://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Answer no more; what runs is ended."""
        self._streams.end()
        ending = threading.Thread(target=self.shutdown, name="flight-end", daemon=True)
        ending.start()
        ending.join(_PATIENCE_SECONDS)  # a client that reads no further would be waited for without end

    def get_flight_info(self, context: fl.ServerCallContext, descriptor: fl.FlightDescriptor) -> fl.FlightInfo:
        """Columns and ticket of what a command asks for."""
        with spoken():
            name, fields = _command(descriptor.command)
            asked = self._statement(name, fields, _caller(context))
            if asked is None:
                ticket = descriptor.command
            else:
                handle = protobuf.written((1, asked.handle()))
                ticket = protobuf.packed_in_any("TicketStatementQuery", handle)
            return fl.FlightInfo(self._schema(name, fields, asked, _caller(context)), descriptor,
                                 [fl.FlightEndpoint(ticket, [])], -1, -1)  # fmt: skip

    def get_schema(self, context: fl.ServerCallContext, descriptor: fl.FlightDescriptor) -> fl.SchemaResult:
        """Columns of what a command asks for."""
        with spoken():
            name, fields = _command(descriptor.command)
            who = _caller(context)
            return fl.SchemaResult(self._schema(name, fields, self._statement(name, fields, who), who))

    def do_get(self, context: fl.ServerCallContext, ticket: fl.Ticket) -> fl.FlightDataStream:
        """The rows of a ticket."""
        with spoken():
            who = _caller(context)
            name, fields = _command(ticket.ticket)
            if name == "TicketStatementQuery":
                return self._streams.open(who.identity, Statement.of(protobuf.data(fields, 1)), context)
            if name == "CommandGetSqlInfo":
                return fl.RecordBatchStream(sql_info.sql_info(protobuf.numbers(fields, 1)))
            if name in metadata.ANSWERS:
                return fl.RecordBatchStream(metadata.ANSWERS[name][0](self._platform, who.identity, fields))
            raise InvalidInput(f"{name} is no ticket of this server")

    def do_put(self, context: fl.ServerCallContext, descriptor: fl.FlightDescriptor, reader: fl.MetadataRecordBatchReader,
               writer: fl.FlightMetadataWriter) -> None:  # fmt: skip
        """Bind parameters to a prepared statement. Nothing else is put here."""
        with spoken():
            name, fields = _command(descriptor.command)
            if name != "CommandPreparedStatementQuery":
                raise InvalidInput(f"{name} would change tables: this door reads. Change them through Python or HTTP")
            found = self._prepared.get(protobuf.data(fields, 1), _caller(context).identity)
            found.parameters = one_row(reader.read_all())

    def do_action(self, context: fl.ServerCallContext, action: fl.Action) -> Iterator[fl.Result]:
        """Prepare, close, cancel."""
        with spoken():
            body, who = action.body.to_pybytes(), _caller(context)
            if action.type == "CreatePreparedStatement":
                return iter([fl.Result(self._prepare(protobuf.read(protobuf.unpacked(body)[1]), who))])
            if action.type == "ClosePreparedStatement":
                self._prepared.close(protobuf.data(protobuf.read(protobuf.unpacked(body)[1]), 1), who.identity)
                return iter([])
            if action.type in ("CancelFlightInfo", "CancelQuery"):
                request = protobuf.read(body if action.type == "CancelFlightInfo" else protobuf.unpacked(body)[1])
                answer = protobuf.written((1, self._cancel(protobuf.data(request, 1) or b"", who)))
                old = action.type == "CancelQuery"
                return iter([fl.Result(protobuf.packed_in_any("ActionCancelQueryResult", answer) if old else answer)])
            raise InvalidInput(f"{action.type!r} is no action of this server; there are {', '.join(ACTIONS)}")

    def list_actions(self, _context: fl.ServerCallContext) -> list[tuple[str, str]]:
        """What `do_action` knows."""
        return list(ACTIONS.items())

    def _statement(self, name: str, fields: protobuf.Fields, who: Caller) -> Statement | None:
        if name == "CommandStatementQuery":
            return statement(protobuf.text(fields, 1), who.environment)
        if name == "CommandPreparedStatementQuery":
            found = self._prepared.get(protobuf.data(fields, 1), who.identity)
            fresh = statement(found.query, found.environment)
            return Statement(fresh.query, fresh.environment, fresh.query_id, found.parameters)
        return None

    def _schema(self, name: str, fields: protobuf.Fields, asked: Statement | None, who: Caller) -> pa.Schema:
        if asked is not None:
            return schema_of(self._platform, who.identity, asked)
        if name == "CommandGetSqlInfo":
            return sql_info.SCHEMA
        if name in metadata.ANSWERS:
            return metadata.ANSWERS[name][1](fields)
        raise InvalidInput(f"this server does not answer {name}")

    def _prepare(self, fields: protobuf.Fields, who: Caller) -> bytes:
        asked = statement(protobuf.text(fields, 1), who.environment)
        schema = b""
        with suppress(InvalidInput):  # its parameters are missing yet; or it is wrong, which its run will tell
            schema = schema_of(self._platform, who.identity, asked).serialize().to_pybytes()
        handle = self._prepared.add(asked.query, asked.environment, who.identity)
        return protobuf.packed_in_any("ActionCreatePreparedStatementResult", protobuf.written((1, handle), (2, schema or None)))

    def _cancel(self, info: bytes, who: Caller) -> int:
        """End the query that a FlightInfo's ticket names, if it is the caller's."""
        endpoint = protobuf.data(protobuf.read(info), 3) or b""
        ticket = protobuf.data(protobuf.read(protobuf.data(protobuf.read(endpoint), 1) or b""), 1) or b""
        name, fields = _command(ticket)
        if name != "TicketStatementQuery":
            return _NOT_CANCELLABLE
        try:
            self._platform.sql.cancel(who.identity, Statement.of(protobuf.data(fields, 1)).query_id)
        except NotFound:  # it has not begun, or nobody knows of it any more
            return _NOT_CANCELLABLE
        return _CANCELLED


def _caller(context: fl.ServerCallContext) -> Caller:
    caller: Caller = context.get_middleware(_GATE)
    return caller


def _command(data: bytes) -> tuple[str, protobuf.Fields]:
    name, message = protobuf.unpacked(bytes(data or b""))
    return name, protobuf.read(message)
