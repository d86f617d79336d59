"""SQL over HTTP, in Python and on the command line: rows stream, and whoever stops reading ends the query."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from waiting import wait_for

from boathouse.client import Lake
from boathouse.errors import BoathouseError, Conflict, InvalidInput, LimitExceeded, NotFound, QueryCanceled

NEVER = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE (a.range * 7 + b.range) % 11 = 12"
HUGE = "SELECT range AS n, repeat('x', 100) AS w FROM range(2000000000)"
LATE = "SELECT CASE WHEN range > 3000000 THEN error('too late') ELSE repeat('x', 30) END AS w FROM range(4000000)"


@pytest.fixture(scope="module")
def lake(lake: Lake) -> Lake:
    lake.create_table("raw.events", {"id": [1, 2, 3], "who": ["a", "b", None]})
    return lake


def post(lake: Lake, query: str, accept: str = "application/json", **more: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {lake.http.token}", "Accept": accept}
    body = {"query": query, "environment": "dev", **more}
    return httpx.post(f"{lake.http.url}/api/v1/sql", json=body, headers=headers, timeout=60, trust_env=False)


def state(lake: Lake, query_id: str) -> dict[str, Any]:
    """A query as it stands once it has ended."""
    for _ in range(500):
        found: dict[str, Any] = lake.call("GET", f"/api/v1/sql/{query_id}")
        if found["state"] not in ("QUEUED", "RUNNING"):
            return found
        time.sleep(0.02)
    raise AssertionError(f"{query_id} goes on")


def running(lake: Lake, query_id: str) -> None:
    """Wait until a query runs."""
    wait_for(lambda: any(q["id"] == query_id and q["state"] == "RUNNING" for q in lake.call("GET", "/api/v1/sql?running=true")))


def test_rows_come_in_the_format_that_is_asked_for(lake: Lake) -> None:
    query = "SELECT id, who FROM raw.events ORDER BY id"
    answer = post(lake, query)
    assert answer.json() == {"columns": ["id", "who"], "rows": [{"id": i, "who": w} for i, w in ((1, "a"), (2, "b"), (3, None))]}
    assert (answer.headers["x-table-versions"], len(answer.headers["x-query-id"])) == ("dev.raw.events=1", 32)
    table = pa.ipc.open_stream(post(lake, query, "application/vnd.apache.arrow.stream").content).read_all()
    assert pyarrow.parquet.read_table(io.BytesIO(post(lake, query, "application/vnd.apache.parquet").content)).equals(table)
    assert pyarrow.csv.read_csv(io.BytesIO(post(lake, query, "text/csv").content)).column("id").to_pylist() == [1, 2, 3]
    assert post(lake, query, "image/png").status_code == 400


def test_an_answer_names_what_goes_wrong_before_its_first_row(lake: Lake) -> None:
    assert (post(lake, "SELECT nothing FROM raw.events").status_code, post(lake, "FROM raw.nowhere").status_code) == (400, 404)
    assert post(lake, "SELECT 1", query_id="../../x").status_code == 400
    assert post(lake, "DROP TABLE raw.nothing").json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"


def test_what_goes_wrong_between_rows_is_told_too(lake: Lake) -> None:
    query_id = uuid.uuid4().hex
    with pytest.raises(httpx.RemoteProtocolError):
        post(lake, LATE, "text/csv", query_id=query_id)
    assert "too late" in state(lake, query_id)["error"]
    with pytest.raises(InvalidInput, match="too late"):
        lake.sql(LATE).to_arrow()


def test_a_large_result_streams_and_is_read_once(lake: Lake) -> None:
    rows = lake.sql("SELECT range AS n, repeat('x', 100) AS w FROM range(500000)")
    assert (rows.columns, rows.limit(2).to_dicts()[1]["n"], "xxx" in repr(rows)) == (["n", "w"], 1, True)
    assert sum(1 for _ in rows) == 500_000
    with pytest.raises(Conflict, match="read already"):
        rows.to_arrow()
    filtered = lake.sql("SELECT range AS n, repeat('x', 100) AS w FROM range(500000)").filter("n % 100000 = 7").select("n")
    assert sorted(r["n"] for r in filtered.to_dicts()) == [7, 100007, 200007, 300007, 400007]


def test_a_small_result_is_kept_and_read_as_often_as_one_likes(lake: Lake) -> None:
    rows = lake.sql("SELECT id FROM raw.events WHERE id > $1", [1])
    assert len(rows) == len(rows.to_arrow()) == len(list(rows)) == 2
    assert lake.sql("SELECT id FROM raw.events WHERE who = $who", {"who": "a' OR true --"}).to_dicts() == []


def test_a_stream_is_written_to_a_table_and_knows_where_it_came_from(lake: Lake) -> None:
    table = lake.create_table("raw.many", {"n": "bigint", "w": "string"})
    rows = lake.sql("SELECT e.id + r.range AS n, repeat('x', 100) AS w FROM raw.events e, range(200000) r")
    assert table.append(rows).rows == 600_000
    assert {(e["source"], e["source_version"]) for e in lake.lineage("raw.many")} >= {("dev.raw.events", "1")}


def test_whoever_hangs_up_ends_the_query(lake: Lake) -> None:
    headers = {"Authorization": f"Bearer {lake.http.token}", "Accept": "text/csv"}
    for query, read in ((NEVER, 0), (HUGE, 3)):
        body = {"query": query, "environment": "dev", "query_id": uuid.uuid4().hex}
        client = httpx.Client(trust_env=False, timeout=httpx.Timeout(20, read=0.5 if not read else 20))
        try:
            with client.stream("POST", f"{lake.http.url}/api/v1/sql", json=body, headers=headers) as answer:
                for _, _chunk in zip(range(read), answer.iter_raw(), strict=False):
                    pass
        except httpx.ReadTimeout:
            pass
        client.close()
        ended = state(lake, str(body["query_id"]))
        assert (ended["state"], "hung up" in ended["error"]) == ("CANCELED", True)


def test_a_query_whose_rows_were_all_read_is_finished(lake: Lake) -> None:
    query = f"SELECT count(*) AS {'n' + uuid.uuid4().hex} FROM range(10)"
    assert len(lake.sql(query)) == 1
    (ended,) = [q for q in lake.http.call("GET", "/api/v1/sql") if q["query"] == query]
    assert (state(lake, ended["id"])["state"], ended["error"]) == ("FINISHED", "")


def test_a_query_is_listed_and_canceled(lake: Lake) -> None:
    found: list[BaseException] = []

    def ask(query_id: str) -> None:
        try:
            lake.http.call("POST", "/api/v1/sql", {"query": NEVER, "environment": "dev", "query_id": query_id})
        except BoathouseError as error:
            found.append(error)

    query_id = uuid.uuid4().hex
    asking = threading.Thread(target=ask, args=[query_id])
    asking.start()
    running(lake, query_id)
    assert lake.call("DELETE", f"/api/v1/sql/{query_id}")["id"] == query_id
    asking.join(20)
    assert isinstance(found[0], QueryCanceled)
    assert state(lake, query_id)["state"] == "CANCELED"


def test_a_query_ends_at_its_limits(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from boathouse.catalog import SqlDesk

    made: list[SqlDesk] = []
    original = SqlDesk._ticket

    def noticed(self: SqlDesk, *given: Any) -> Any:
        made.append(self)
        self._seconds = 0.5
        return original(self, *given)

    monkeypatch.setattr(SqlDesk, "_ticket", noticed)
    with pytest.raises(LimitExceeded, match=r"longer than 0\.5 seconds"):
        lake.sql(NEVER)
    made[0]._seconds = 300


def test_maps_are_objects_and_decimals_texts(lake: Lake) -> None:
    price = "12345678901234567890.123456"
    query = f"SELECT MAP {{'first': 8}} AS seats, MAP {{1: [MAP {{'x': true}}]}} AS nested, {price}::DECIMAL(38, 6) AS price"
    row = {"seats": {"first": 8}, "nested": {"1": [{"x": True}]}, "price": price}
    assert post(lake, query).json()["rows"] == [row]
    [read] = csv.DictReader(io.StringIO(post(lake, query, "text/csv").text))
    assert json.loads(read["nested"]) == row["nested"]


def test_a_run_asks_in_its_own_environment(lake: Lake) -> None:
    answer = post(lake, "SELECT 1 AS a", environment="prod")
    assert answer.status_code == 200
    with pytest.raises(NotFound, match="no environment or catalog 'no such'"):
        lake.http.call("POST", "/api/v1/sql", {"query": "FROM raw.events", "environment": "no such"})


@pytest.fixture(scope="module")
def command(lake: Lake) -> Any:
    """The command line, on the server of `lake`."""
    environ = {**os.environ, "BOATHOUSE_URL": lake.http.url, "BOATHOUSE_TOKEN": str(lake.http.token)}

    def run(*words: str, stdin: str = "", background: bool = False) -> Any:
        arguments = [str(Path(sys.executable).with_name("boathouse")), *words]
        if background:
            return subprocess.Popen(arguments, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return subprocess.run(arguments, env=environ, input=stdin, capture_output=True, text=True, check=False)

    return run


def test_the_command_writes_rows_and_reads_statements_from_anywhere(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "ask.sql"
    file.write_text("-- which\nSELECT id, who FROM raw.events WHERE id < $most ORDER BY id;")
    assert json.loads(command("sql", "-f", str(file), "--param", "most=3", "--format", "json").stdout) == [
        {"id": 1, "who": "a"}, {"id": 2, "who": "b"},
    ]  # fmt: skip
    done = command("sql", "-", "--output", str(tmp_path / "rows.parquet"), stdin="SELECT * FROM range(5)")
    assert (done.returncode, pyarrow.parquet.read_table(tmp_path / "rows.parquet").num_rows) == (0, 5)
    late = command("sql", LATE, "-o", str(tmp_path / "late.csv"))
    assert (late.returncode, "too late" in late.stderr, sorted(p.name for p in tmp_path.iterdir())) == (
        1, True, ["ask.sql", "rows.parquet"],
    )  # fmt: skip


def test_ctrl_c_ends_the_query_on_the_server(lake: Lake, command: Any) -> None:
    asking = command("sql", NEVER, background=True)
    while not (found := [q for q in lake.call("GET", "/api/v1/sql?running=true") if q["query"] == NEVER]):
        assert asking.poll() is None
        time.sleep(0.05)
    asking.send_signal(signal.SIGINT)
    asking.communicate(timeout=30)
    assert asking.returncode != 0
    assert state(lake, found[0]["id"])["state"] == "CANCELED"
    listed = json.loads(command("queries", "list", "--json").stdout)
    assert found[0]["id"] in {q["id"] for q in listed}
