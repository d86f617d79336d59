"""Arrow Flight SQL with ADBC's driver: rows, parameters, metadata, under grants; denials, large results, cancelling."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import adbc_driver_flightsql.dbapi as adbc
import adbc_driver_manager
import pyarrow as pa
import pyarrow.flight as fl
import pytest
from adbc_driver_flightsql import DatabaseOptions

from boathouse.catalog import TableSpec
from boathouse.platform import Platform
from boathouse.server.flight import FlightSql
from boathouse.server.flight import protobuf as pb
from boathouse.settings import load

Connect = Callable[..., AbstractContextManager[Any]]
SLOW = "SELECT count(*) FROM range(20000000) a, range(20000) b WHERE a.range % 7 = b.range % 5"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with Platform(load({}, home=str(tmp_path_factory.mktemp("home")))) as opened:
        jobs = opened.service_identity("dev")
        rows = pa.table({"id": [1, 2, 3], "city": ["Oslo", "Rome", None], "fare": [1.5, 2.5, 3.5]})
        for name in ("trips", "hidden"):
            opened.catalog.create_table(jobs, TableSpec(f"dev.lab.{name}", rows.schema, primary_keys=("id",)))
            opened.catalog.folder(f"dev.lab.{name}").append(rows)
        mask = {"city": "CASE WHEN is_member('admins') THEN city ELSE '*' END"}
        opened.catalog.describe(jobs, "dev.lab.trips", {"masks": mask})
        for name in ("ann", "bob"):
            opened.identities.create(name, "user")
        opened.access.grant("root", ["ann"], ["USE CATALOG", "USE SCHEMA"], "catalog", "dev")
        opened.access.grant("root", ["ann"], ["SELECT"], "table", "dev.lab.trips")
        yield opened


@pytest.fixture(scope="module")
def server(platform: Platform) -> Iterator[FlightSql]:
    made = FlightSql(platform)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def connect(platform: Platform, server: FlightSql) -> Connect:
    @contextmanager
    def open_as(who: str = "ann", **options: str) -> Iterator[Any]:
        token = platform.home.operator_token() if who == "root" else platform.identities.issue(who)
        bearer = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"}
        with adbc.connect(server.url, db_kwargs={**bearer, **options}, autocommit=True) as made, made.cursor() as cursor:
            yield cursor

    return open_as


def test_rows_come_masked_as_everywhere(connect: Connect) -> None:
    for who, cities in (("ann", ["*", "*", "*"]), ("root", ["Oslo", "Rome", None])):
        with connect(who) as cursor:
            cursor.execute("SELECT id, city FROM lab.trips ORDER BY id")
            assert cursor.fetch_arrow_table().to_pydict() == {"id": [1, 2, 3], "city": cities}


def test_parameters_are_bound(connect: Connect) -> None:
    with connect() as cursor:
        cursor.execute("SELECT id FROM dev.lab.trips WHERE fare > ? AND id < ? ORDER BY id", (2.0, 3))
        assert cursor.fetchall() == [(2,)]
        cursor.execute("SELECT ? || '!'", ("it's",))
        assert cursor.fetchall() == [("it's!",)]


def test_a_token_serves_as_password_too(platform: Platform, server: FlightSql) -> None:
    login = {"username": "whatever", "password": platform.identities.issue("ann")}
    with adbc.connect(server.url, db_kwargs=login, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM lab.trips")
        assert cursor.fetchone() == (3,)


def test_the_environment_is_a_header(connect: Connect) -> None:
    header = f"{DatabaseOptions.RPC_CALL_HEADER_PREFIX.value}x-boathouse-environment"
    with connect(**{header: "prod"}) as cursor, pytest.raises(adbc_driver_manager.Error, match=r"USE CATALOG on prod"):
        cursor.execute("SELECT * FROM lab.trips")


@pytest.mark.parametrize("token", ["", "Bearer nonsense", "Basic nonsense"])
def test_without_a_good_token_nobody_comes_in(server: FlightSql, token: str) -> None:
    options = {DatabaseOptions.AUTHORIZATION_HEADER.value: token} if token else {}
    with (
        adbc.connect(server.url, db_kwargs=options, autocommit=True) as made, made.cursor() as cursor,
        pytest.raises(adbc_driver_manager.Error, match=r"token"),
    ):  # fmt: skip
        cursor.execute("SELECT 1")


def test_what_is_not_granted_is_refused_by_name_and_audited(connect: Connect, platform: Platform) -> None:
    with connect() as cursor, pytest.raises(adbc_driver_manager.ProgrammingError, match=r"ann lacks SELECT on dev\.lab\.hidden"):
        cursor.execute("SELECT * FROM lab.hidden")
    assert platform.audit.entries(subject="dev.lab.hidden")[0].outcome == "denied"


@pytest.mark.parametrize(
    "query", ["SELECT * FROM read_csv('/etc/passwd')", "DROP TABLE lab.trips", "SELECT nonsense FROM lab.trips", ""]
)
def test_what_cannot_run_is_refused(connect: Connect, query: str) -> None:
    with connect() as cursor, pytest.raises(adbc_driver_manager.Error):
        cursor.execute(query)


def test_objects_are_those_that_the_caller_may_see(connect: Connect) -> None:
    def tables(who: str, **filters: str) -> list[str]:
        with connect(who) as cursor:
            found = cursor.connection.adbc_get_objects(depth="tables", **filters).read_all().to_pylist()
        return [f"{c['catalog_name']}.{s['db_schema_name']}.{t['table_name']}" for c in found
                for s in c["catalog_db_schemas"] or () for t in s["db_schema_tables"] or ()]  # fmt: skip

    assert tables("ann") == ["dev.lab.trips"]
    assert tables("bob") == []
    assert set(tables("root")) == {"dev.lab.hidden", "dev.lab.trips"}
    assert tables("root", table_name_filter="tr%") == ["dev.lab.trips"]


def test_columns_and_types_are_told(connect: Connect) -> None:
    with connect() as cursor:
        schema = cursor.connection.adbc_get_table_schema("trips", catalog_filter="dev", db_schema_filter="lab")
        assert schema.remove_metadata() == pa.schema([
            pa.field("id", pa.int64(), nullable=False), pa.field("city", pa.string()), pa.field("fare", pa.float64())
        ])  # fmt: skip
        assert cursor.connection.adbc_get_table_types() == ["TABLE", "VIEW"]
        assert cursor.connection.adbc_get_info()["vendor_name"] == "Boathouse"


def test_the_schema_of_a_query_is_told_without_running_it(connect: Connect) -> None:
    with connect() as cursor:
        assert cursor.adbc_execute_schema("SELECT id, fare * 2 AS double FROM lab.trips").names == ["id", "double"]


def test_a_large_result_streams(connect: Connect) -> None:
    with connect() as cursor:
        cursor.execute("SELECT range AS n, md5(range::VARCHAR) AS text FROM range(2000000)")
        reader = cursor.fetch_record_batch()
        sizes = [batch.num_rows for batch in reader]
    assert (sum(sizes), len(sizes) > 50) == (2_000_000, True)


def test_half_a_result_may_be_left_and_the_connection_goes_on(connect: Connect, platform: Platform) -> None:
    with connect() as cursor:
        cursor.execute("SELECT range AS n FROM range(50000000)")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT 42")
        assert cursor.fetchone() == (42,)


def test_a_query_is_cancelled_by_the_one_who_asked(connect: Connect, platform: Platform) -> None:
    with connect() as cursor:
        def cancel() -> None:
            _wait(lambda: any(q.state == "RUNNING" and q.seconds > 0.5 for q in _queries(platform) if q.query == SLOW))
            cursor.adbc_cancel()

        threading.Thread(target=cancel).start()
        with pytest.raises(adbc_driver_manager.Error):
            cursor.execute(SLOW).fetchall()
    assert _ended(platform, SLOW)


def test_a_query_is_cancelled_by_its_flight_info_and_by_nobody_else(platform: Platform, server: FlightSql) -> None:
    owner, other = (_options(platform, who) for who in ("ann", "bob"))
    with fl.FlightClient(server.url) as client:
        command = pb.packed_in_any("CommandStatementQuery", pb.written((1, f"{SLOW} AND 1=1")))
        info = client.get_flight_info(fl.FlightDescriptor.for_command(command), owner)
        reading = threading.Thread(target=lambda: _swallow(client, info.endpoints[0].ticket, owner))
        reading.start()
        _wait(lambda: any(q.query == f"{SLOW} AND 1=1" and q.state == "RUNNING" for q in _queries(platform)))
        cancel = fl.Action("CancelFlightInfo", pb.written((1, info.serialize())))
        assert _status(client, cancel, other) == 3
        assert _status(client, cancel, owner) == 1
        reading.join(20)
    assert _ended(platform, f"{SLOW} AND 1=1")


def test_a_ticket_opens_nothing_that_its_bearer_may_not_read(platform: Platform, server: FlightSql) -> None:
    with fl.FlightClient(server.url) as client:
        command = pb.packed_in_any("CommandStatementQuery", pb.written((1, "SELECT * FROM dev.lab.hidden")))
        info = client.get_flight_info(fl.FlightDescriptor.for_command(command), _options(platform, "root"))
        ticket = info.endpoints[0].ticket
        with pytest.raises(fl.FlightUnauthorizedError, match="ann lacks SELECT"):
            client.do_get(ticket, _options(platform, "ann")).read_all()
        for forged in (b"", b"\xff\xff", ticket.ticket[:-3], pb.packed_in_any("TicketStatementQuery", b"\x0a\x01x")):
            with pytest.raises((pa.ArrowInvalid, fl.FlightError)):
                client.do_get(fl.Ticket(forged), _options(platform, "ann")).read_all()


def test_a_prepared_statement_is_its_makers_own(platform: Platform, server: FlightSql) -> None:
    with fl.FlightClient(server.url) as client:
        body = pb.packed_in_any("ActionCreatePreparedStatementRequest", pb.written((1, "SELECT id FROM dev.lab.hidden")))
        [made] = client.do_action(fl.Action("CreatePreparedStatement", body), _options(platform, "root"))
        handle = pb.data(pb.read(pb.unpacked(made.body.to_pybytes())[1]), 1)
        command = fl.FlightDescriptor.for_command(pb.packed_in_any("CommandPreparedStatementQuery", pb.written((1, handle))))
        assert client.get_flight_info(command, _options(platform, "root")).schema.names == ["id"]
        with pytest.raises(pa.ArrowKeyError, match="no such prepared statement"):
            client.get_flight_info(command, _options(platform, "ann"))


def test_the_process_hears_its_own_signals_while_the_server_answers(server: FlightSql) -> None:
    heard: list[int] = []
    former = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        _wait(lambda: bool(heard))
        with fl.FlightClient(server.url) as client, pytest.raises(fl.FlightUnauthenticatedError):
            list(client.list_actions())
    finally:
        signal.signal(signal.SIGTERM, former)


def _options(platform: Platform, who: str) -> fl.FlightCallOptions:
    token = platform.home.operator_token() if who == "root" else platform.identities.issue(who)
    return fl.FlightCallOptions(headers=[(b"authorization", f"Bearer {token}".encode())])


def _swallow(client: Any, ticket: Any, options: Any) -> None:
    with suppress(pa.ArrowException, fl.FlightError):
        client.do_get(ticket, options).read_all()


def _status(client: Any, action: Any, options: Any) -> int:
    [answer] = client.do_action(action, options)
    return pb.numbers(pb.read(answer.body.to_pybytes()), 1)[0]


def _queries(platform: Platform) -> list[Any]:
    return platform.sql._queries.list()


def _ended(platform: Platform, query: str) -> bool:
    _wait(lambda: all(q.ended for q in _queries(platform) if q.query == query))
    return any(q.state == "CANCELED" for q in _queries(platform) if q.query == query)


def _wait(done: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not done():
        assert time.monotonic() < limit
        time.sleep(0.02)
