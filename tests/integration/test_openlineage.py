"""OpenLineage: events out to a receiver that fails now and then, and the official client's events in."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from openlineage.client import OpenLineageClient
from openlineage.client import event_v2 as ol
from openlineage.client.facet_v2 import column_lineage_dataset as cl
from openlineage.client.facet_v2 import dataset_version_dataset, symlinks_dataset
from requests import HTTPError

from boathouse.client import Http, Lake
from boathouse.jobs import RunRequest
from boathouse.platform import Platform
from boathouse.server import Server
from boathouse.settings import load

pytestmark = pytest.mark.xdist_group("openlineage")
TASK = """
import boathouse
lake = boathouse.connect()
warm = lake.sql("SELECT station, (fahrenheit - 32) / 1.8 AS celsius FROM raw.weather WHERE fahrenheit > 0")
lake.create_table("features.weather", warm)
"""
NOW = "2025-01-01T00:00:00Z"


class Heard:
    """A receiver. It answers with what `say` gives, first in first out, then with 201."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.say: list[int] = []
        self.more = threading.Condition()

    def wait(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 60) -> dict[str, Any]:
        """The first event that is wanted."""
        with self.more:
            assert self.more.wait_for(lambda: any(map(wanted, self.events)), seconds), [e["job"]["name"] for e in self.events]
            return next(filter(wanted, self.events))


@pytest.fixture(scope="module")
def heard() -> Iterator[tuple[Heard, str]]:
    hearing = Heard()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with hearing.more:
                status = hearing.say.pop(0) if hearing.say else 201
                hearing.tokens.add(self.headers["Authorization"])
                if status == 201 and self.path == "/api/v1/lineage":
                    hearing.events.append(body)
                hearing.more.notify_all()
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield hearing, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, heard: tuple[Heard, str]) -> Iterator[Platform]:
    told = {"BOATHOUSE_OPENLINEAGE_URL": heard[1], "BOATHOUSE_OPENLINEAGE_TOKEN": "sesame"}
    with Platform(load(told, home=str(tmp_path_factory.mktemp("home")))) as opened:
        server = Server(opened)
        server.start()
        yield opened
        server.stop()


@pytest.fixture(scope="module")
def lake(platform: Platform) -> Iterator[Lake]:
    with Lake(Http(platform.url, platform.home.operator_token()), "dev") as connected:
        connected.create_table("raw.weather", {"station": ["JFK", "LGA"], "fahrenheit": [50.0, 68.0]})
        yield connected


def run(platform: Platform, folder: Path, text: str) -> str:
    (folder / "task.py").write_text(text)
    definition = {"tasks": [{"task_key": "warm", "spark_python_task": {"python_file": "task.py"}}]}
    request = RunRequest(
        environment="dev", project="weather", job="warm", definition=definition, source=str(folder), principal="dev-jobs",
        submitted_by="root", commit="c0ffee" * 6 + "c0ff", parameters={"as_of": "2013-07-01T00:00:00+00:00"}, trigger="manual",
    )  # fmt: skip
    run_id = platform.runner.submit(request)
    platform.runner.wait(run_id, 120)
    return run_id


def test_a_run_is_told_of_with_versions_schema_columns_and_commit(
    platform: Platform, lake: Lake, heard: tuple[Heard, str], tmp_path: Path
) -> None:
    heard[0].say = [503, 500]  # the receiver stumbles: nothing is lost
    run(platform, tmp_path, TASK)
    start = heard[0].wait(lambda e: e["eventType"] == "START" and e["job"]["name"] == "dev.warm")
    end = heard[0].wait(lambda e: e["eventType"] == "COMPLETE" and e["job"]["name"] == "dev.warm")
    assert uuid.UUID(start["run"]["runId"]) == uuid.UUID(end["run"]["runId"])
    assert end["job"]["facets"]["sourceCodeLocation"]["version"].startswith("c0ffee")
    assert end["run"]["facets"]["nominalTime"]["nominalStartTime"] == "2013-07-01T00:00:00+00:00"
    (read,), (written,) = end["inputs"], end["outputs"]
    assert (read["namespace"], read["name"], read["facets"]["version"]["datasetVersion"]) == ("boathouse", "dev.raw.weather", "1")
    assert [f["name"] for f in written["facets"]["schema"]["fields"]] == ["station", "celsius"]
    (field,) = written["facets"]["columnLineage"]["fields"]["celsius"]["inputFields"]
    assert (field["name"], field["field"], field["transformations"]) == (
        "dev.raw.weather", "fahrenheit", [{"type": "DIRECT", "subtype": "TRANSFORMATION"}],
    )  # fmt: skip
    (decides,) = written["facets"]["columnLineage"]["dataset"]
    assert (decides["field"], decides["transformations"][0]["subtype"]) == ("fahrenheit", "FILTER")
    assert heard[0].tokens == {"Bearer sesame"}


def test_a_run_that_fails_and_a_write_outside_of_runs_are_told_of(
    platform: Platform, lake: Lake, heard: tuple[Heard, str], tmp_path: Path
) -> None:
    run(platform, tmp_path, "raise SystemExit('no rows today')")
    failed = heard[0].wait(lambda e: e["eventType"] == "FAIL")
    assert failed["run"]["facets"]["errorMessage"]["programmingLanguage"] == "python"
    lake.create_table("raw.copy", lake.sql("SELECT station FROM raw.weather"))
    written = heard[0].wait(lambda e: e["job"]["name"] == "write.dev.raw.copy" and bool(e["inputs"]))
    assert [d["name"] for d in written["inputs"]] == ["dev.raw.weather"]


def test_every_event_and_facet_says_who_made_it_by_which_schema(heard: tuple[Heard, str]) -> None:
    def facets(value: Any) -> Iterator[dict[str, Any]]:
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from facets(part)
        if isinstance(value, dict) and "_producer" in value:
            yield value

    assert heard[0].events
    for event in heard[0].events:
        assert event["schemaURL"].startswith("https://openlineage.io/spec/")
        assert {"eventTime", "eventType", "run", "job", "inputs", "outputs"} <= set(event)
        assert event["eventTime"].endswith("+00:00")
        assert event["producer"].startswith("urn:boathouse:")
        assert all(f["_producer"] == event["producer"] and f["_schemaURL"] for f in facets(event))


def test_what_the_receiver_refuses_as_wrong_does_not_hold_up_what_follows(
    platform: Platform, lake: Lake, heard: tuple[Heard, str]
) -> None:
    assert platform.feed
    refused = platform.feed.state().refused
    heard[0].say = [422]
    lake.create_table("raw.refused", {"n": [1]})
    lake.create_table("raw.taken", {"n": [1]})
    heard[0].wait(lambda e: e["job"]["name"] == "write.dev.raw.taken")
    deadline = time.monotonic() + 30
    while platform.feed.state().place < platform.outbox.newest() and time.monotonic() < deadline:
        platform.feed.wake()
        time.sleep(0.05)
    assert (platform.feed.state().refused, platform.feed.state().trouble) == (refused + 1, None)


@pytest.fixture
def airflow(lake: Lake) -> Iterator[tuple[OpenLineageClient, Lake]]:
    """The official client, as a principal of its own that may write the schema raw."""
    name = f"airflow{uuid.uuid4().hex[:6]}"
    lake.call("POST", "/api/v1/principals", {"name": name})
    for privilege, kind, securable in (
        ("USE CATALOG", "catalog", "dev"), ("USE SCHEMA", "schema", "dev.raw"), ("SELECT", "table", "dev.raw.weather"),
        ("MODIFY", "table", "dev.raw.weather"), ("CREATE EXTERNAL METADATA", "metastore", "boathouse"),
    ):  # fmt: skip
        grant = {"principal": name, "privilege": privilege, "kind": kind, "securable": securable}
        lake.call("POST", "/api/v1/grants", grant)
    token = lake.call("POST", "/api/v1/tokens", {"principal": name})["token"]
    transport = {"type": "http", "url": lake.http.url, "auth": {"type": "api_key", "apiKey": token}}
    with Lake(Http(lake.http.url, token), "dev") as own:
        client = OpenLineageClient(config={"transport": transport})
        yield client, own
        client.close()


def event(kind: str, run_id: str, inputs: list[Any], outputs: list[Any]) -> ol.RunEvent:
    return ol.RunEvent(eventType=ol.RunState[kind], eventTime=NOW, producer="https://example.org/dag", inputs=inputs,
                       outputs=outputs, run=ol.Run(run_id), job=ol.Job("airflow", "daily.load"))  # fmt: skip


def test_events_of_the_official_client_become_edges_when_the_run_is_complete(airflow: tuple[OpenLineageClient, Lake]) -> None:
    client, own = airflow
    run_id = str(uuid.uuid4())
    version = dataset_version_dataset.DatasetVersionDatasetFacet("17")
    client.emit(event("START", run_id, [ol.InputDataset("s3://landing", "stations.csv", facets={"version": version})], []))
    assert own.lineage("raw.weather", depth=1) == []
    part = cl.InputField("s3://landing", "stations.csv", "code", [cl.Transformation("DIRECT", "IDENTITY")])
    columns = cl.ColumnLineageDatasetFacet(fields={"station": cl.Fields([part])})
    client.emit(
        event("COMPLETE", run_id, [], [ol.OutputDataset("boathouse", "dev.raw.weather", facets={"columnLineage": columns})])
    )
    (edge,) = own.lineage("raw.weather", columns=True)
    assert (edge["source"], edge["source_version"], edge["target_version"]) == ("external:s3://landing/stations.csv", "17", "1")
    assert (edge["how"], edge["job"], edge["run_id"]) == ("external", "airflow/daily.load", run_id)
    assert edge["columns"] == [{"source": "code", "target": "station", "how": ["IDENTITY"]}]


def test_a_table_is_known_by_the_place_of_its_files_and_by_symlinks(
    airflow: tuple[OpenLineageClient, Lake], lake: Lake
) -> None:
    client, own = airflow
    place = lake.table_info("raw.weather").location.removeprefix("file://")
    link = symlinks_dataset.SymlinksDatasetFacet([symlinks_dataset.Identifier("boathouse", "dev.raw.weather", "TABLE")])
    for source in (ol.InputDataset("file", place), ol.InputDataset("hive", "weather", facets={"symlinks": link})):
        target = f"report{uuid.uuid4().hex[:6]}"
        client.emit(event("COMPLETE", str(uuid.uuid4()), [source], [ol.OutputDataset("bigquery", target)]))
        (edge,) = own.lineage(f"external:bigquery/{target}", depth=1)
        assert edge["source"] == "dev.raw.weather"


def test_without_a_grant_nothing_is_taken_and_nothing_is_told(airflow: tuple[OpenLineageClient, Lake], lake: Lake) -> None:
    client, own = airflow
    for name in ("dev.raw.copy", "dev.raw.nothing"):
        with pytest.raises(HTTPError, match="404"):
            client.emit(event("COMPLETE", str(uuid.uuid4()), [], [ol.OutputDataset("boathouse", name)]))
    hidden, unknown = (ol.InputDataset("boathouse", name) for name in ("dev.raw.copy", "dev.raw.nothing"))
    target = f"report{uuid.uuid4().hex[:6]}"
    client.emit(event("COMPLETE", str(uuid.uuid4()), [hidden, unknown], [ol.OutputDataset("bigquery", target)]))
    assert own.lineage(f"external:bigquery/{target}") == []
    lake.http.call("POST", "/api/v1/grants/revoke", {"principal": own.principal, "privilege": "CREATE EXTERNAL METADATA",
                                                     "kind": "metastore", "securable": "boathouse"})  # fmt: skip
    with pytest.raises(HTTPError, match="403"):
        client.emit(event("COMPLETE", str(uuid.uuid4()), [], [ol.OutputDataset("bigquery", "x")]))


def test_a_failed_run_leaves_nothing_and_what_is_wrong_is_said(airflow: tuple[OpenLineageClient, Lake]) -> None:
    client, own = airflow
    run_id, target = str(uuid.uuid4()), f"report{uuid.uuid4().hex[:6]}"
    client.emit(event("START", run_id, [ol.InputDataset("boathouse", "dev.raw.weather")], [ol.OutputDataset("bigquery", target)]))
    client.emit(event("FAIL", run_id, [], []))
    client.emit(event("COMPLETE", run_id, [], []))  # too late: it had failed
    with pytest.raises(Exception, match="nothing is named"):
        own.lineage(f"external:bigquery/{target}")
    wrong: list[Any] = [{"run": {}, "job": {"namespace": "a", "name": "b"}}, {"run": {"runId": "1"}, "job": {"name": "b"}},
                        {"run": {"runId": "1"}, "job": {"namespace": "a", "name": "b"}, "eventType": "MAYBE"},
                        {"run": {"runId": "1"}, "job": {"namespace": "a", "name": "b"}, "inputs": [{"name": "x"}]}]  # fmt: skip
    for body in wrong:
        with pytest.raises(Exception, match=r"OpenLineage|event type"):
            own.http.call("POST", "/api/v1/openlineage", body)
    assert own.http.call("POST", "/api/v1/openlineage", [{"dataset": {}}, {"job": {}}]) == {"events": 2, "edges": 0}
