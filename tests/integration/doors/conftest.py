"""A home with something behind every door, a person of each group, and what a door uses up made anew for each try."""

import itertools
import re
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog import Column, FunctionInfo, TableSpec
from boathouse.environments import share
from boathouse.environments import store as code_tables
from boathouse.events import Notice
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder, schema_of
from boathouse.platform import Platform
from boathouse.registry import prepare_mlflow
from boathouse.server import Server
from boathouse.settings import load

GROUPS = {"analyst": "business-analysts", "engineer": "data-engineers", "scientist": "data-scientists",
          "mlengineer": "ml-engineers"}  # fmt: skip
RUN = "0123456789abcdef"
MODEL = "prod.flights.delay"
KEYED = TableSpec("prod.features.keyed", schema_of({"id": "bigint", "x": "double"}), primary_keys=("id",))
JOB = {"tasks": [{"task_key": "load", "sql_task": {"query": "select 1"}}]}
SOURCE = "def double(x):\n    return 2 * x\n"
SPEC = ("{serialization_version: 1, input_columns: [], input_tables: [], input_functions: [], label_columns: [], "
        "spine_columns: []}")  # fmt: skip


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A home with something behind every door."""
    settings = load({}, home=str(tmp_path_factory.mktemp("doors")))
    prepare_mlflow(settings.database_url, str(settings.path("mlflow-artifacts")))
    with Platform(settings) as opened:
        _people(opened)
        _data(opened)
        _code(opened)
        yield opened


@pytest.fixture(scope="module")
def tokens(platform: Platform) -> dict[str, str]:
    """Persona -> a token; nobody has a wrong one."""
    names = {**{p: p for p in GROUPS}, "admin": platform.operator, "jobs": "prod-jobs"}
    return {"nobody": "bh_wrong", **{p: platform.identities.issue(name) for p, name in names.items()}}


def _people(platform: Platform) -> None:
    for persona, group in GROUPS.items():
        platform.identities.ensure(persona, "user")
        platform.identities.add_member(group, persona)
    platform.access.grant("root", ["business-analysts"], ["USE CATALOG"], "catalog", "prod")
    platform.access.grant("root", ["business-analysts"], ["USE SCHEMA", "SELECT"], "schema", "prod.flights")


def _data(platform: Platform) -> None:
    logged = {"request_id": ["r1"], "model_version": [1], "id": [1]}
    for name in ("prod.features.t", "prod.raw.t", "prod.flights.delay_inference", "dev.lab.t"):
        who = platform.service_identity(name.partition(".")[0])
        info = platform.catalog.create_table(who, TableSpec(name, schema_of(logged)))
        DeltaFolder(info.location, name).append(logged)
        share(platform.access, name)
    platform.catalog.create_table(prod := platform.service_identity("prod"), KEYED)
    share(platform.access, KEYED.name)
    platform.volumes.create(prod, "prod.raw.files")
    platform.volumes.put(prod, "prod.raw.files", "a.txt", iter([b"a"]))
    platform.secrets.put(_root(platform), "prod", "mail/password", "hunter2")
    platform.access.grant("root", ["prod-jobs"], ["READ SECRET"], "secret_scope", "prod.mail")
    told = Notice("k", "prod", "jobs.on_failure", "prod.nightly", "webhook", "ftp://nowhere", "prod-jobs", "", "", {})
    platform.notifications.add([told])
    platform.sharing.shares.create(_root(platform), "outside")
    platform.sharing.shares.add(_root(platform), "outside", "prod.features.t", "")
    platform.functions.create(prod, FunctionInfo("prod.features.double", (Column("x", "double"),), "double", SOURCE, "double"))
    platform.feature_specs.create(prod, "prod.features.spec", SPEC)
    now = clock.millis()
    with platform.database.writing() as connection:
        connection.execute(sa.text("INSERT INTO registered_models (workspace, name, creation_time, last_updated_time) "
                                   f"VALUES ('default', '{MODEL}', {now}, {now})"))  # fmt: skip
        connection.execute(sa.text(
            "INSERT INTO model_versions (workspace, name, version, creation_time, last_updated_time, current_stage, source,"
            f" status, run_id) VALUES ('default', '{MODEL}', 1, {now}, {now}, 'None', 'models:/x', 'READY', 'r')"))  # fmt: skip
    platform.registry.install()
    platform.catalog.register(prod, "model", MODEL, "CREATE MODEL")


def _root(platform: Platform) -> Identity:
    return Identity(platform.operator, frozenset({"admins"}))


def _code(platform: Platform) -> None:
    root = _root(platform)
    model = {"schema_name": "flights", "name": "delay"}
    served = {"name": "delay", "config": {"served_entities": [{"entity_name": "flights.delay"}]}}
    wanted: list[tuple[str, str, dict[str, Any]]] = [
        ("compute", "small", {"cpus": 1}), ("job", "nightly", JOB),
        ("registered_model", "delay", model), ("model_serving_endpoint", "delay", served),
        ("quality_monitor", "delay", {"model": "delay"}),
        ("alert", "drop", {"monitor": "delay", "condition": "roc_auc < 0.9", "granularity": "1 week"}),
    ]  # fmt: skip
    platform.projects.ensure(root, "flights")
    for environment in ("dev", "prod"):
        platform.deployments.replace(root, environment=environment, project="flights", wanted=wanted, source="/nowhere",
                                     commit="c0ffee" * 6, dirty=False)  # fmt: skip
    _ended(platform, RUN)
    window = {"start": "2013-04-08T00:00:00+00:00", "values": {}, "violated": True, "granularity": "1 week"}
    platform.alerts.record("prod", "drop", {"state": "firing", "reason": "0.8 < 0.9", "windows": [window]})
    with platform.database.writing() as connection:
        connection.execute(code_tables.requests.insert().values(
            project="flights", branch="work", title="t", head="a" * 40, base="b" * 40, merge_commit="c" * 40, state="open",
            checks={}, opened_by="mlengineer", opened_at=clock.now()))  # fmt: skip


def _ended(platform: Platform, run_id: str) -> str:
    row = {"id": run_id, "environment": "prod", "project": "flights", "job": "nightly", "scratch": "", "commit_id": None,
           "dirty": False, "source": "/nowhere", "definition": JOB, "parameters": {}, "trigger": "manual",
           "principal": "prod-jobs", "submitted_by": "prod-jobs"}  # fmt: skip
    platform.runs.add(row, ["load"])
    platform.runs.update(run_id, state="SUCCESS", started_at=clock.now(), ended_at=clock.now())
    return run_id


@pytest.fixture(scope="module")
def server(platform: Platform) -> Iterator[Server]:
    made = Server(platform)
    made.start()
    yield made
    made.stop()


class Fresh:
    """What a door uses up, made anew for each try: `@table` in a line becomes a table that is there."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._count = itertools.count(1)

    def fill(self, text: str, persona: str) -> str:
        """The text with each `@word` replaced."""
        return re.sub(r"@(\w+)", lambda found: getattr(self, f"_{found[1]}")(persona), text)

    def _run(self, _persona: str) -> str:
        return _ended(self._platform, f"{next(self._count):016x}")

    def _arrow(self, _persona: str) -> str:
        return "ARROW"

    def _csv(self, persona: str) -> str:
        path = Path(self._folder(persona)) / "rows.csv"
        path.write_text("id,name\n1,one\n")
        return str(path)

    def _sqlfunction(self, persona: str) -> str:
        path = Path(self._folder(persona)) / "f.sql"
        path.write_text(f"CREATE FUNCTION features.h{next(self._count)}(x DOUBLE) RETURNS DOUBLE LANGUAGE PYTHON AS $$\n"
                        "return 2 * x\n$$")  # fmt: skip
        return str(path)

    def _folder(self, _persona: str) -> str:
        return tempfile.mkdtemp(dir=self._platform.settings.home)

    def _number(self, _persona: str) -> str:
        return str(next(self._count))

    def _table(self, _persona: str) -> str:
        name = f"prod.features.t{next(self._count)}"
        self._platform.catalog.create_table(self._platform.service_identity("prod"), TableSpec(name, schema_of({"id": "bigint"})))
        return name

    def _schema(self, _persona: str) -> str:
        name = f"prod.s{next(self._count)}"
        self._platform.catalog.create_schema(self._platform.service_identity("prod"), name)
        return name

    def _volume(self, _persona: str) -> str:
        return self._platform.volumes.create(self._platform.service_identity("prod"), f"prod.raw.w{next(self._count)}").name

    def _share(self, _persona: str) -> str:
        return self._platform.sharing.shares.create(_root(self._platform), f"share{next(self._count)}").name

    def _catalog(self, _persona: str) -> str:
        name = f"c{next(self._count)}"
        self._platform.catalog.create_catalog(name, "admins")
        return name

    def _function(self, _persona: str) -> str:
        name = f"prod.features.f{next(self._count)}"
        info = FunctionInfo(name, (Column("x", "double"),), "double", SOURCE, "double")
        return self._platform.functions.create(self._platform.service_identity("prod"), info).name

    def _secret(self, persona: str) -> str:
        return f"{self._secretscope(persona)}/key"

    def _secretscope(self, _persona: str) -> str:
        scope = f"scope{next(self._count)}"
        self._platform.secrets.put(_root(self._platform), "prod", f"{scope}/key", "x")
        return scope

    def _user(self, _persona: str) -> str:
        return self._principal("user")

    def _group(self, _persona: str) -> str:
        return self._principal("group")

    def _service(self, _persona: str) -> str:
        return self._principal("service_principal")

    def _principal(self, kind: Any) -> str:
        name = f"{kind}{next(self._count)}"
        self._platform.identities.create(name, kind)
        return name

    def _member(self, _persona: str) -> str:
        name = self._principal("user")
        self._platform.identities.add_member("ml-engineers", name)
        return name

    def _token(self, persona: str) -> str:
        """The id of a token of the operator's, which others may not revoke."""
        self._platform.identities.issue(self._platform.operator, comment=f"for {persona}", lifetime=timedelta(days=1))
        return self._platform.identities.tokens(self._platform.operator)[0].id


@pytest.fixture(scope="module")
def fresh(platform: Platform) -> Fresh:
    return Fresh(platform)
