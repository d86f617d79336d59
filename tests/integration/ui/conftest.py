"""A server over a home with a bit of everything, made once, and browsers of people with different grants."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
from browsers import Browser, browsers

from boathouse import clock
from boathouse.catalog import TableSpec
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder, Engine
from boathouse.monitoring import MonitorSpec, bin_edges, drift, profile
from boathouse.platform import Platform
from boathouse.registry import prepare_mlflow
from boathouse.server import Server
from boathouse.settings import load

SCRIPT = "<script>alert('!')</script>"
RUN = "0123456789abcdef"
MODEL = "prod.flights.delay"
PEOPLE = {"ada": "data-scientists", "grace": "ml-engineers", "anna": "business-analysts"}
JOB = {
    "tasks": [
        {"task_key": "ingest", "sql_task": {"query": "select 1"}},
        {
            "task_key": "features",
            "depends_on": [{"task_key": "ingest"}],
            "sql_task": {"query": "select 1"},
        },
    ],
    "schedule": {"quartz_cron_expression": "0 30 6 * * ?", "timezone_id": "UTC"},
}



@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = load({}, home=str(tmp_path_factory.mktemp("home")))
    prepare_mlflow(settings.database_url, str(settings.path("mlflow-artifacts")))
    with Platform(settings) as platform:
        _people(platform)
        _tables(platform)
        _models(platform)
        _deployments(platform)
        _run(platform)
        _monitored(platform)
        server = Server(platform)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def platform(server: Server) -> Platform:
    return server.platform


@pytest.fixture(scope="session")
def browser(server: Server) -> Iterator[Browser]:
    with browsers(server) as open_as:
        yield open_as


def make(platform: Platform, name: str, rows: pa.Table, **options: Any) -> None:
    """A table with rows, by its environment's jobs."""
    who = platform.service_identity(name.partition(".")[0])
    info = platform.catalog.create_table(who, TableSpec(name, rows.schema, **options))
    commit = DeltaFolder(info.location, name).append(rows)
    platform.catalog.note_write(who, name, commit.version, commit.operation, [])


def _people(platform: Platform) -> None:
    for name, group in PEOPLE.items():
        platform.identities.ensure(name, "user")
        platform.identities.add_member(group, name)
    platform.access.grant(platform.operator, ["business-analysts"], ["USE CATALOG"], "catalog", "prod")
    platform.access.grant(
        platform.operator, ["business-analysts"], ["USE SCHEMA", "SELECT"], "schema", "prod.reports"
    )


def _tables(platform: Platform) -> None:
    hours = [datetime(2013, 4, 1, h, tzinfo=UTC) for h in range(24)]
    weather = pa.table({"origin": ["JFK"] * 24, "time_hour": hours, "temp": [float(h) for h in range(24)]})
    make(
        platform, "prod.features.weather", weather,
        primary_keys=("origin", "time_hour"), event_time="time_hour",
        description=f"Weather {SCRIPT}", column_comments={"temp": f"Fahrenheit {SCRIPT}"},
    )  # fmt: skip
    make(platform, "prod.raw.weather", weather, description="As it came")
    people = pa.table({"name": ["Ann", f"Bob {SCRIPT}"], "email": ["ann@example.org", "bob@example.org"]})
    make(platform, "prod.reports.people", people)
    mask = "CASE WHEN is_member('admins') THEN email ELSE 'masked' END"
    keeper = Identity("prod-jobs", frozenset(), "prod")
    platform.catalog.describe(keeper, "prod.reports.people", {"masks": {"email": mask}})
    platform.volumes.create(keeper, "prod.raw.images", f"Photographs {SCRIPT}")
    platform.volumes.put(keeper, "prod.raw.images", f"cats/1 {SCRIPT.replace('/', '')}.png", [b"miaow"])
    for source, target in (
        ("prod.raw.weather", "prod.features.weather"),
        ("prod.features.weather", f"model:{MODEL}"),
        ("prod.raw.weather", "prod.reports.people"),
    ):
        platform.lineage.record([(source, "1")], (target, "1"), "prod-jobs", RUN)


def _models(platform: Platform) -> None:
    now = clock.millis()
    add_model = sa.text(
        "INSERT INTO registered_models (workspace, name, creation_time, last_updated_time, description)"
        " VALUES ('default', :name, :now, :now, :words)"
    )
    add_version = sa.text(
        "INSERT INTO model_versions (workspace, name, version, creation_time, last_updated_time, user_id,"
        " current_stage, source, run_id, status) VALUES ('default', :name, :version, :now, :now, 'prod-jobs',"
        " 'None', 'models:/x', 'none', 'READY')"
    )
    with platform.database.writing() as connection:
        connection.execute(add_model, {"name": MODEL, "now": now, "words": f"Lateness {SCRIPT}"})
        for version in (1, 2, 3):
            connection.execute(add_version, {"name": MODEL, "version": version, "now": now})
    platform.registry.install()
    platform.catalog.register(platform.service_identity("prod"), "model", MODEL, "CREATE MODEL")
    platform.registry.promote(MODEL, 1, principal="prod-jobs", reason=f"passed {SCRIPT}")
    platform.registry.promote(MODEL, 2, principal="prod-jobs", reason="passed")


def _deployments(platform: Platform) -> None:
    who = Identity("grace", frozenset({"ml-engineers"}))
    platform.projects.ensure(who, "flights")
    wanted: list[tuple[str, str, dict[str, Any]]] = [
        ("job", "refresh", JOB),
        ("registered_model", "delay", {"schema_name": "flights", "name": "delay",
                                       "delivery": {"mode": "manual", "approval": {"by": ["ml-engineers"]}}}),
        ("quality_monitor", "delay", {"model": "delay"}),
        ("alert", "drop", {"monitor": "delay", "condition": "roc_auc < 0.9", "granularity": "1 week"}),
    ]  # fmt: skip
    served = {"name": "delay", "config": {"served_entities": [{"entity_name": "flights.delay"}]}}
    for environment, more in (("staging", [("model_serving_endpoint", "delay", served)]), ("prod", [])):
        platform.deployments.replace(
            who, environment=environment, project="flights", wanted=[*wanted, *more], source="/nowhere",
            commit="c0ffee" * 5, dirty=False,
        )  # fmt: skip


def _run(platform: Platform) -> None:
    at = clock.now() - timedelta(minutes=5)
    row = {
        "id": RUN, "environment": "prod", "project": "flights", "job": "refresh", "scratch": "",
        "commit_id": None, "dirty": False, "source": "/nowhere", "definition": JOB,
        "parameters": {"as_of": "2013-04-15"}, "trigger": "schedule", "principal": "prod-jobs",
        "submitted_by": "prod-jobs",
    }  # fmt: skip
    platform.runs.add(row, ["ingest", "features"])
    for task, state in (("ingest", "SUCCESS"), ("features", "FAILED")):
        platform.runs.update_task(RUN, task, state=state, started_at=at, ended_at=at + timedelta(seconds=9))
        log = platform.runner.log(platform.runs.get(RUN), task)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"{task} says {SCRIPT}\n")
    platform.runs.update(
        RUN, state="FAILED", reason=f"features {SCRIPT}", started_at=at, ended_at=clock.now()
    )


def _monitored(platform: Platform) -> None:
    rows = _predictions()
    make(platform, f"{MODEL}_inference", rows)
    spec = MonitorSpec(
        "flights.delay_inference", "classification", "request_time", ("1 week",),
        prediction_proba_col="prediction_probability", label_col="label", model_id_col="model_version",
        columns=("request_time", "prediction_probability", "label", "wind"),
    )  # fmt: skip
    connection = Engine().connection
    connection.register("rows", rows)
    edges = bin_edges(connection, "rows", ["prediction_probability", "label", "wind"])
    base = profile(connection, "(SELECT * FROM rows LIMIT 400)", spec, log_type="BASELINE", bins=edges)
    fresh = profile(connection, "(SELECT * FROM rows)", spec, bins=edges)
    make(platform, f"{MODEL}_inference_profile_metrics", pa.concat_tables([base, fresh]))
    make(platform, f"{MODEL}_inference_drift_metrics", drift(fresh, base))
    window = {"start": "2013-04-08T00:00:00+00:00", "values": {}, "violated": True, "granularity": "1 week"}
    verdict = {"state": "firing", "reason": "roc_auc 0.8 < 0.9", "windows": [window]}
    platform.alerts.record("prod", "drop", verdict)


def _predictions() -> pa.Table:
    random, count = np.random.default_rng(0), 1200
    times = [datetime(2013, 4, 1, tzinfo=UTC) + timedelta(minutes=30 * i) for i in range(count)]
    score = random.random(count)
    return pa.table({
        "request_time": times, "prediction_probability": score,
        "label": (random.random(count) < score).astype(float), "wind": random.gamma(2, 5, count),
        "model_version": ["1"] * 600 + ["2"] * 600, "request_id": [f"r{i}" for i in range(count)],
        "row": pa.array([0] * count, pa.int32()), "feature_versions": ['{"features.weather": 1}'] * count,
    })  # fmt: skip
