"""Every door of the house: each HTTP route and each verb of the command line, tried by each persona and by nobody.

`doors/http.txt` and `doors/cli.txt` hold one line a door. A route or verb that has no line fails the test, and the
failure prints the line to add, with what was found: read it before you believe it.
"""

import itertools
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pytest
import sqlalchemy as sa
import typer
from fastapi.testclient import TestClient

from boathouse import clock
from boathouse.catalog import Column, FunctionInfo, TableSpec
from boathouse.cli.app import app as command_line
from boathouse.environments import share
from boathouse.environments import store as code_tables
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder, packed, schema_of
from boathouse.platform import Platform
from boathouse.registry import prepare_mlflow
from boathouse.server import Server
from boathouse.server.app import create_app
from boathouse.server.mlflow_guard import owns
from boathouse.server.mlflow_routes import ROUTES as MLFLOW
from boathouse.settings import load

pytestmark = pytest.mark.xdist_group("doors")
HERE = Path(__file__).parent / "doors"
PERSONAS = ("nobody", "analyst", "engineer", "scientist", "mlengineer", "admin", "jobs")
"""The columns of the tables; `jobs` is prod's service principal."""
GROUPS = {"analyst": "business-analysts", "engineer": "data-engineers", "scientist": "data-scientists",
          "mlengineer": "ml-engineers"}  # fmt: skip
RUN = "0123456789abcdef"
MODEL = "prod.flights.delay"
JOB = {"tasks": [{"task_key": "load", "sql_task": {"query": "select 1"}}]}
SOURCE = "def double(x):\n    return 2 * x\n"
SPEC = ("{serialization_version: 1, input_columns: [], input_tables: [], input_functions: [], label_columns: [], "
        "spine_columns: []}")  # fmt: skip


@dataclass(frozen=True)
class Door:
    """A line of a table. `expected` has a word for each persona: a status, or `in` for any but 401, 403, 404 and 5xx."""

    name: str
    asked: str
    body: str
    expected: tuple[str, ...]


def doors(file: str) -> dict[str, Door]:
    """The lines of a table, by the name of the door."""
    found = {}
    for line in (HERE / file).read_text().splitlines():
        if line and not line.startswith("#"):
            name, asked, body, expected = (cell.strip().removeprefix("-") for cell in line.split(" | "))
            found[name] = Door(name, asked, body, tuple(expected.split()))
    return found


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
def server(platform: Platform) -> Iterator[Server]:
    made = Server(platform)
    made.start()
    yield made
    made.stop()


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
    prod = platform.service_identity("prod")
    platform.volumes.create(prod, "prod.raw.files")
    platform.volumes.put(prod, "prod.raw.files", "a.txt", iter([b"a"]))
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
        ("job", "nightly", JOB), ("registered_model", "delay", model), ("model_serving_endpoint", "delay", served),
        ("quality_monitor", "delay", {"model": "delay"}),
        ("alert", "drop", {"monitor": "delay", "condition": "roc_auc < 0.9", "granularity": "1 week"}),
    ]  # fmt: skip
    platform.projects.ensure(root, "flights")
    for environment in ("dev", "prod"):
        platform.deployments.replace(root, environment=environment, project="flights", wanted=wanted, source="/nowhere",
                                     commit="c0ffee" * 6, dirty=False)  # fmt: skip
    row = {"id": RUN, "environment": "prod", "project": "flights", "job": "nightly", "scratch": "", "commit_id": None,
           "dirty": False, "source": "/nowhere", "definition": JOB, "parameters": {}, "trigger": "manual",
           "principal": "prod-jobs", "submitted_by": "prod-jobs"}  # fmt: skip
    platform.runs.add(row, ["load"])
    platform.runs.update(RUN, state="SUCCESS", started_at=clock.now(), ended_at=clock.now())
    window = {"start": "2013-04-08T00:00:00+00:00", "values": {}, "violated": True, "granularity": "1 week"}
    platform.alerts.record("prod", "drop", {"state": "firing", "reason": "0.8 < 0.9", "windows": [window]})
    with platform.database.writing() as connection:
        connection.execute(code_tables.requests.insert().values(
            project="flights", branch="work", title="t", head="a" * 40, base="b" * 40, merge_commit="c" * 40, state="open",
            checks={}, opened_by="mlengineer", opened_at=clock.now()))  # fmt: skip


class Fresh:
    """What a door uses up, made anew for each try: `@table` in a line becomes a table that is there."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._count = itertools.count(1)

    def fill(self, text: str, persona: str) -> str:
        """The text with each `@word` replaced."""
        return re.sub(r"@(\w+)", lambda found: getattr(self, f"_{found[1]}")(persona), text)

    def _arrow(self, _persona: str) -> str:
        return "ARROW"

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


def routes(platform: Platform) -> tuple[dict[str, Any], Any]:
    """`METHOD path` -> the function behind it, of every route, and the app; Unity's second prefix is the first again."""
    app = create_app(platform)
    found = dict(_walk(app._api.routes, ""))  # type: ignore[attr-defined]
    again = {name.replace("/api/2.0/unity", "/api/2.1/unity"): name for name in found if "/api/2.0/unity" in name}
    for name, second in again.items():
        assert found.pop(second) is found[name], f"{second} is not {name}"
    return found, app


def _walk(inside: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for route in inside:
        if hasattr(route, "original_router"):
            yield from _walk(route.original_router.routes, prefix + route.include_context.prefix)
        else:
            assert hasattr(route, "methods"), f"{route} is no route that this test knows how to try"
            yield from ((f"{m} {prefix}{route.path}", route.endpoint) for m in route.methods - {"HEAD"})


def verbs() -> list[str]:
    """Every verb of the command line."""

    def walk(command: click.Command, words: tuple[str, ...]) -> Iterator[str]:
        below: dict[str, click.Command] = getattr(command, "commands", {})
        if not below:
            yield " ".join(words)
        for name, child in below.items():
            yield from walk(child, (*words, name))

    return list(walk(typer.main.get_command(command_line), ()))


def judged(door: Door, found: list[str]) -> str:
    """What is wrong with what was found, as the line that would be right; empty where nothing is."""
    expected = door.expected or ("?",) * len(PERSONAS)
    pairs = list(zip(expected, found, strict=True))
    if all(want == got or (want == "in" and got not in ("401", "403", "404") and got < "500") for want, got in pairs):
        return ""
    return f"{door.name} | {door.asked or '-'} | {door.body or '-'} | {' '.join(found)}\n    not: {' '.join(expected)}"


def send(client: TestClient, door: Door, fresh: Fresh, persona: str, token: str) -> str:
    """The status that a persona gets; the way to the login counts as 401."""
    method, path = door.name.split()[-2:]
    url = fresh.fill(door.asked or path, persona)
    headers = {"Authorization": f"Bearer {token}"} if persona != "nobody" else {}
    sent: dict[str, Any] = {} if method == "GET" else _sent(fresh.fill(door.body, persona))
    answer = client.request(method, url, headers=headers, follow_redirects=False, **sent)
    if answer.status_code == 303 and answer.headers["location"].startswith("/login"):
        return "401"
    return str(answer.status_code)


def _sent(body: str) -> dict[str, Any]:
    """A body as the client sends it: JSON, `@arrow` for a message without rows, else a form."""
    if body.startswith("{"):
        return {"json": json.loads(body)}
    if body == "ARROW":
        return {"content": b"".join(packed({}, pa.table({})))}
    return {"data": dict(pair.split("=", 1) for pair in body.split("&") if pair)}


def test_every_route_lets_in_whom_it_should_and_nobody_else(platform: Platform, tokens: dict[str, str]) -> None:
    table, wrong, fresh = doors("http.txt"), [], Fresh(platform)
    there, app = routes(platform)
    assert (gone := sorted(set(table) - set(there))) == [], f"lines of routes that are gone: {gone}"
    with TestClient(app, raise_server_exceptions=False, base_url="http://127.0.0.1") as client:
        for name in there:
            door = table.get(name, Door(name, "", "", ()))
            wrong.append(judged(door, [send(client, door, fresh, persona, tokens[persona]) for persona in PERSONAS]))
    app.close()
    assert not any(wrong), "\n".join(["doors/http.txt:", *filter(None, wrong)])


def test_mlflows_paths_are_guarded_by_their_class(platform: Platform, tokens: dict[str, str]) -> None:
    table, wrong, fresh = doors("mlflow.txt"), [], Fresh(platform)
    assert {kind for kind, _, _ in MLFLOW} == {name.split()[0] for name in table} | {"page"}
    app = create_app(platform)
    with TestClient(app, raise_server_exceptions=False, base_url="http://127.0.0.1") as client:
        for door in table.values():
            found = [send(client, door, fresh, persona, f"{tokens[persona]}@prod") for persona in PERSONAS]
            wrong.append(judged(door, found))
        for kind, path, methods in MLFLOW:
            plain = "/mlflow/" if kind == "page" else re.sub("<[^>]*>", "x", path)
            if kind != "open" and owns(plain):
                answers = {client.request(method, plain).status_code for method in methods.split()}
                wrong += [f"{kind} {methods} {plain}: {answers}"] if answers != {404 if kind == "refused" else 401} else []
    app.close()
    assert not any(wrong), "\n".join(["doors/mlflow.txt:", *filter(None, wrong)])
