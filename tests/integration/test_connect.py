"""`boathouse.connect()`: a lakehouse in one process, as a single user has it."""

import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import polars
import pytest

import boathouse
from boathouse import context
from boathouse.client import Http, Lake
from boathouse.errors import (
    AlreadyExists,
    BoathouseError,
    DuplicateKey,
    HomeInUse,
    InvalidInput,
    InvalidName,
    NewerHome,
    NotFound,
    NotPermitted,
    PortInUse,
    SchemaMismatch,
    Unauthenticated,
    Unavailable,
)
from boathouse.feature_engineering import FeatureEngineeringClient
from boathouse.features import FeatureLookup
from boathouse.platform import Platform
from boathouse.server import Server

pytestmark = pytest.mark.xdist_group("connect")  # one process: its server and fixtures are made once

Person = Callable[..., Lake]
HOUR = datetime(2013, 7, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def person(lake: Lake) -> Person:
    """Someone's own connection to the same server."""

    def connect(name: str, *grants: tuple[str, str, str], environment: str = "dev") -> Lake:
        lake.call("POST", "/api/v1/principals", {"name": name})
        for privilege, kind, securable in grants:
            body = {"principal": name, "privilege": privilege, "kind": kind, "securable": securable}
            lake.call("POST", "/api/v1/grants", body)
        token = lake.call("POST", "/api/v1/tokens", {"principal": name})["token"]
        return Lake(Http(lake.http.url, token), environment)

    return connect


def rows(lake: Lake, query: str) -> list[dict[str, Any]]:
    return lake.sql(query).to_dicts()


def test_a_frame_becomes_a_table_and_a_query_a_frame(lake: Lake) -> None:
    made = lake.create_table(
        "raw.first", polars.DataFrame({"id": [1, 2], "who": ["a", "b"]}), description="one"
    )
    assert (made.name, made.version, made.info.description) == ("dev.raw.first", 1, "one")
    assert lake.sql("SELECT who FROM raw.first ORDER BY id").to_polars()["who"].to_list() == ["a", "b"]
    assert [t.name for t in lake.tables("raw")] == ["dev.raw.first"]
    assert lake.table("dev.raw.first").read(columns=["id"], where="who = 'b'").to_dicts() == [{"id": 2}]


def test_a_table_is_written_and_read_at_each_version(lake: Lake) -> None:
    table = lake.create_table("raw.versions", {"id": "bigint", "n": "double"}, primary_keys=["id"])
    assert table.append({"id": [1, 2], "n": [1.0, 2.0]}).version == 1
    table.merge({"id": [2, 3], "n": [20.0, 30.0]})
    table.update({"n": "n + 1"}, "id = 1")
    table.delete("id = 3")
    assert [table.read(version).count() for version in range(5)] == [0, 2, 3, 3, 2]
    assert table.read().to_polars().sort("id")["n"].to_list() == [2.0, 20.0]
    assert [h["operation"] for h in table.history(2)] == ["DELETE", "UPDATE"]
    assert table.changes(since=3).count() == 1
    with pytest.raises(NotFound, match="has no version 99"):
        table.read(version=99)


def test_a_table_whose_rows_are_refused_is_not_made(lake: Lake) -> None:
    with pytest.raises(SchemaMismatch):
        lake.create_table("hr.refused", polars.DataFrame({"id": [2**64 - 1]}, schema={"id": polars.UInt64}))
    assert lake.create_table("hr.refused", {"id": [1]}).read().count() == 1


def test_columns_are_added_only_when_asked_and_the_catalog_knows(lake: Lake) -> None:
    table = lake.create_table("raw.wider", {"id": [1]})
    with pytest.raises(SchemaMismatch, match=r"no column 'x' .*evolve=True"):
        table.append({"id": [2], "x": [0.5]})
    table.append({"id": [2], "x": [0.5]}, evolve=True)
    assert [c.name for c in lake.table_info("raw.wider").columns] == ["id", "x"]
    assert rows(lake, "SELECT x FROM raw.wider ORDER BY id") == [{"x": None}, {"x": 0.5}]


@pytest.mark.parametrize(
    ("frame", "error", "reason"),
    [
        ({"id": [1, 1], "n": [1.0, 2.0]}, DuplicateKey, "1 rows repeat a key, for example {'id': 1}"),
        ({"n": [1.0]}, InvalidInput, "the rows have no column 'id'"),
        ([{"id": None, "n": 1.0}, {"id": 1, "n": 1.0}], InvalidInput, "is a key and may not be null"),
        ({"id": ["x"], "n": [1.0]}, SchemaMismatch, "raw.keyed.id is int64"),
        (7, InvalidInput, "int is no dataframe"),
    ],
)
def test_rows_that_cannot_be_merged_are_refused_and_nothing_is_written(
    lake: Lake, frame: Any, error: type[BoathouseError], reason: str
) -> None:
    table = lake.create_table(
        "raw.keyed", {"id": "bigint", "n": "double"}, primary_keys=["id"], exists_ok=True
    )
    with pytest.raises(error, match=reason):
        table.merge(frame)
    assert table.version == 0


def test_a_merge_needs_keys(lake: Lake) -> None:
    table = lake.create_table("raw.keyless", {"id": [1]})
    with pytest.raises(InvalidInput, match="has no primary keys: say `on="):
        table.merge({"id": [1]})
    assert table.merge({"id": [1, 2]}, on=["id"]).rows == 2


def test_what_was_known_before_is_never_erased(lake: Lake) -> None:
    schema = {"k": "string", "t": "timestamp", "known": "timestamp", "v": "double"}
    table = lake.create_table(
        "features.known", schema, primary_keys=["k", "t"], event_time="t", known_time="known"
    )
    later = HOUR.replace(hour=18)
    for moment, value in ((HOUR, 1.0), (later, 2.0), (later, 2.5)):
        table.merge({"k": ["JFK"], "t": [HOUR], "known": [moment], "v": [value]})
    assert table.read().select("v").to_polars().sort("v")["v"].to_list() == [1.0, 2.5]
    assert rows(lake, "SELECT count(*) AS n FROM features.known") == [{"n": 2}]


@pytest.mark.parametrize(
    ("query", "error", "reason"),
    [
        ("SELECT * FROM raw.nowhere", NotFound, "no table is named dev.raw.nowhere"),
        ("SELECT * FROM nowhere", InvalidName, "'nowhere' needs two levels"),
        ("SELEKT 1", InvalidInput, "SELEKT is no statement"),
        ("SELECT 1 + 'x'", InvalidInput, "the query failed"),
        ("SELECT * FROM read_csv('/etc/passwd')", InvalidInput, "read_csv\\(\\) is not allowed in FROM"),
        ("COPY (SELECT 1) TO '/tmp/stolen.csv'", InvalidInput, "is no statement for users here"),
        ("ATTACH '/tmp/other.db'", InvalidInput, "is no statement for users here"),
        ("INSTALL httpfs", InvalidInput, "is no statement for users here"),
        ("ALTER TABLE raw.t ADD CONSTRAINT pk PRIMARY KEY (id)", InvalidInput, "PRIMARY KEY stands in CREATE TABLE"),
        ("SELECT getenv('HOME')", InvalidInput, "getenv\\(\\) is not allowed"),
        ("SELECT * FROM glob('/*')", InvalidInput, "is not allowed in FROM"),
        ("SELECT uper('a')", InvalidInput, "did you mean upper\\(\\)"),
        ("SELECT 1 AS a ORDER BY 'b", InvalidInput, "Missing ' from 1:23"),
        ("DESCRIBE HISTORY raw.t", InvalidInput, "boathouse tables history"),
        ("USE raw", InvalidInput, "write schema.table"),
        ('SELECT * FROM "\'".""""', InvalidName, "is not a name"),
    ],
)
def test_sql_that_may_not_run_is_refused_as_the_same_error(
    lake: Lake, query: str, error: type[BoathouseError], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        lake.sql(query)


def test_unknown_and_taken_names_are_told_apart(lake: Lake) -> None:
    lake.create_table("raw.taken", {"id": [1]})
    with pytest.raises(AlreadyExists, match=r"dev\.raw\.taken exists already"):
        lake.create_table("raw.taken", {"id": [1]})
    assert lake.create_table("raw.taken", {"id": [9]}, exists_ok=True).read().to_dicts() == [{"id": 1}]
    lake.drop_table("raw.taken")
    assert not lake.table_exists("raw.taken")
    for call in (lake.table, lake.table_info, lake.drop_table):
        with pytest.raises(NotFound, match=r"no table is named dev\.raw\.taken"):
            call("raw.taken")


def test_what_was_read_is_the_lineage_of_what_is_written_next(lake: Lake, person: Person) -> None:
    lake.create_table("raw.source", {"id": [1, 2]})
    with person("lin", ("USE CATALOG", "catalog", "dev"), ("USE SCHEMA", "schema", "dev.raw"),
                ("SELECT", "schema", "dev.raw"), ("CREATE TABLE", "schema", "dev.raw")) as lin:  # fmt: skip
        lin.create_table("raw.derived", lin.sql("SELECT sum(id) AS total FROM raw.source"))
        (edge,) = [e for e in lin.lineage("raw.derived") if e["target"] == "dev.raw.derived"]
    assert (edge["source"], edge["source_version"], edge["target_version"]) == ("dev.raw.source", "1", "1")
    assert edge["principal"] == "lin"


def sources(lake: Lake, name: str) -> set[tuple[str, str | None, str]]:
    edges = [e for e in lake.lineage(name) if e["target"] == lake.complete(name)]
    return {(e["source"], e["source_version"], e["how"]) for e in edges}


def test_a_read_whose_rows_are_written_nowhere_is_no_source_of_the_next_write(lake: Lake) -> None:
    lake.create_table("raw.one", {"id": [1]})
    lake.create_table("raw.other", {"id": [2]})
    rows = lake.sql("SELECT id FROM raw.one WHERE id > 7").to_arrow()  # none: nothing is written
    lake.sql("SELECT max(id) AS newest FROM raw.one").to_arrow()
    table = lake.create_table("raw.made", rows.schema)
    table.append(lake.sql("SELECT id FROM raw.other").to_arrow())
    assert sources(lake, "raw.made") == {("dev.raw.other", "1", "derived")}
    table.append(polars.DataFrame({"id": [3]}), sources=["raw.one", "file:numbers.csv"])
    assert sources(lake, "raw.made") == {
        ("dev.raw.other", "1", "derived"), ("dev.raw.one", "1", "declared"), ("file:numbers.csv", None, "declared"),
    }  # fmt: skip


def test_a_person_without_grants_reads_nothing_and_the_try_is_recorded(lake: Lake, person: Person) -> None:
    lake.create_table("raw.secret", {"id": [1]})
    with person("eve") as eve:
        assert (eve.principal, eve.tables(), eve.table_exists("raw.secret")) == ("eve", [], False)
        for attempt in (lambda: eve.table("raw.secret"), lambda: eve.sql("SELECT * FROM raw.secret")):
            with pytest.raises(NotPermitted, match="eve lacks USE CATALOG on dev"):
                attempt()
        with pytest.raises(NotPermitted):
            eve.create_table("raw.secret", {"id": "bigint"}, exists_ok=True)
    denied = [e for e in lake.call("GET", "/api/v1/audit?limit=500") if e["principal"] == "eve"]
    assert {(e["action"], e["subject"], e["outcome"]) for e in denied} == {
        ("denied SELECT", "dev.raw.secret", "denied"), ("denied MODIFY", "dev.raw.secret", "denied"),
    }  # fmt: skip
    assert lake.call("GET", "/api/v1/audit/verify")["whole"]


def test_a_revoked_grant_counts_at_once(lake: Lake, person: Person) -> None:
    lake.create_table("raw.lent", {"id": [1]})
    grant = {"principal": "rob", "privilege": "SELECT", "kind": "table", "securable": "dev.raw.lent"}
    ways = [("USE CATALOG", "catalog", "dev"), ("USE SCHEMA", "schema", "dev.raw")]
    with person("rob", *ways, ("SELECT", "table", "dev.raw.lent")) as rob:
        assert rows(rob, "SELECT id FROM raw.lent") == [{"id": 1}]
        lake.call("POST", "/api/v1/grants/revoke", grant)
        with pytest.raises(NotPermitted, match=r"lacks SELECT on dev\.raw\.lent"):
            rob.sql("SELECT id FROM raw.lent")


def test_a_mask_holds_at_every_way_of_reading(lake: Lake) -> None:
    table = lake.create_table("raw.people", {"id": [1], "name": ["Ada"]})
    lake.describe_table("raw.people", masks={"name": "'***'"})
    masked = lake.table("raw.people")
    assert (
        rows(lake, "SELECT name FROM raw.people")
        == masked.read(columns=["name"]).to_dicts()
        == [{"name": "***"}]
    )
    assert lake.engine.relation(f"SELECT name FROM {masked.scan()}").to_dicts() == [{"name": "***"}]
    assert masked.read(version=1, columns=["name"]).to_dicts() == [{"name": "***"}]
    assert masked.read(version=0).to_dicts() == []
    with pytest.raises(NotPermitted, match="read through the server"):
        masked.changes(0)
    masked.append({"id": [2], "name": ["Bob"]})
    assert table.version == 2


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"masks": {"name": "nonsense("}}, r"the mask of dev\.hr\.guarded\.name cannot be used"),
        ({"masks": {"nobody": "null"}}, r"has no column 'nobody' to mask \(it has id, name\)"),
        ({"row_filter": "no_column = 1"}, r"the row filter of dev\.hr\.guarded cannot be used"),
        ({"row_filter": "id in (select 1)"}, "without a subquery"),
    ],
)
def test_a_mask_or_filter_that_could_not_be_asked_is_refused(lake: Lake, change: dict[str, Any], wrong: str) -> None:
    lake.create_table("hr.guarded", {"id": [1], "name": ["a"]}, exists_ok=True)
    with pytest.raises(InvalidInput, match=wrong):
        lake.describe_table("hr.guarded", **change)
    lake.describe_table("hr.guarded", row_filter="is_member('admins') OR current_user = 'ann'", masks={"name": "upper(name)"})
    assert lake.sql("select * from hr.guarded").to_dicts() == [{"id": 1, "name": "A"}]
    lake.describe_table("hr.guarded", row_filter=None, masks={})


def test_json_answers_hold_values_that_json_has_not(lake: Lake) -> None:
    query = "SELECT 'nan'::DOUBLE AS a, 'inf'::FLOAT AS b, TIMESTAMPTZ '2013-07-01 12:00Z' AS t, 1.50::DECIMAL(4,2) AS d"
    answer = lake.call("POST", "/api/v1/sql", {"query": query})
    (row,) = answer["rows"]
    assert (row["a"], row["b"]) == (None, None)
    assert row["t"].startswith("2013-07-01T12:00:00")
    assert float(row["d"]) == 1.5


def test_a_lookup_on_a_key_that_the_examples_lack_is_refused_by_name(lake: Lake) -> None:
    client = FeatureEngineeringClient(context=lake)
    planes = {"tail": ["N1"], "seats": [100]}
    client.create_table(name="features.planes", primary_keys="tail", df=planes)
    spine = {"plane": ["N1"], "late": [1]}
    for key, reason in (("tial", "tial"), (["plane", "late"], "features.planes")):
        with pytest.raises(InvalidInput, match=reason):
            client.create_training_set(
                df=spine, feature_lookups=[FeatureLookup("features.planes", key)], label="late"
            )
    good = client.create_training_set(
        df=spine, feature_lookups=[FeatureLookup("features.planes", "plane")], label="late"
    )
    assert good.load_df().to_dicts() == [{"plane": "N1", "seats": 100, "late": 1}]
    with pytest.raises(NotFound, match=r"features.boats"):
        client.create_training_set(
            df=spine, feature_lookups=[FeatureLookup("features.boats", "plane")], label="late"
        )


def test_the_connection_is_found_by_code_that_asks_for_one(lake: Lake) -> None:
    assert context.current() is lake
    assert boathouse.connect() is lake


def test_another_process_is_told_who_owns_the_home(lake: Lake) -> None:
    home = lake.online_folder().parent.parent
    code = f"import boathouse; boathouse.connect(home={str(home)!r})"
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert tried.returncode == 1
    assert f"HomeInUse: {home} is in use by process" in tried.stderr


def test_a_second_connection_in_one_process_is_refused_too(lake: Lake) -> None:
    with pytest.raises(HomeInUse):
        boathouse.connect(home=str(lake.online_folder().parent.parent))


def test_a_home_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home.json").write_text('{"format": 2}')
    with pytest.raises(NewerHome, match="upgrade with `pip install --upgrade boathouse`"):
        boathouse.connect(home=str(tmp_path))


def test_a_wrong_token_is_refused_and_holds_no_home(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            boathouse.connect(home=str(tmp_path), token="bh_wrong")


def test_a_server_that_does_not_answer_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unavailable, match=f"no answer from {url}.*is `boathouse up` running"):
            boathouse.connect(url=url, token="bh_any")


def test_a_port_in_use_is_named(platform: Platform) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} is in use; choose another with --port"):
            Server(platform, port)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer bh_guess"}, {"Authorization": "Basic !"}])
def test_without_a_valid_token_nothing_is_answered(lake: Lake, headers: dict[str, str]) -> None:
    for path in ("whoami", "tables", "runs", "audit", "principals", "models"):
        answer = httpx.get(f"{lake.http.url}/api/v1/{path}", headers=headers, trust_env=False)
        assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED"), path


def test_errors_have_one_shape(lake: Lake) -> None:
    headers = {"Authorization": f"Bearer {lake.http.token}"}
    for method, path, body, status in [
        ("GET", "tables/dev.raw.gone", None, 404), ("POST", "tables", {"nom": "x"}, 400),
        ("POST", "tables", {"name": "dev.raw.x", "columns": {"a": "number"}}, 400), ("PUT", "tables", None, 405),
        ("GET", "nothing", None, 404), ("GET", "runs?limit=many", None, 400),
        ("POST", "principals", {"name": "r2", "kind": "robot"}, 400),
    ]:  # fmt: skip
        answer = httpx.request(
            method, f"{lake.http.url}/api/v1/{path}", json=body, headers=headers, trust_env=False
        )
        assert answer.status_code == status, (path, answer.text)
        assert answer.json().keys() == {"error_code", "message", "details"}, path
