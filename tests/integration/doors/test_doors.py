"""Every door of the house: each HTTP route and each verb of the command line, tried by each persona and by nobody.

`doors/http.txt` and `doors/cli.txt` hold one line a door. A route or verb that has no line fails the test, and the
failure prints the line to add, with what was found: read it before you believe it.
"""

import atexit
import io
import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pytest
import sqlalchemy as sa
import typer
from fastapi.testclient import TestClient

from boathouse import context, errors
from boathouse.catalog.store import audit
from boathouse.cli import app as cli
from boathouse.lake import packed
from boathouse.platform import Platform
from boathouse.server import Server
from boathouse.server.app import create_app
from boathouse.server.mlflow_guard import owns
from boathouse.server.mlflow_routes import ROUTES as MLFLOW

pytestmark = pytest.mark.xdist_group("doors")
HERE = Path(__file__).parent
PERSONAS = ("nobody", "analyst", "engineer", "scientist", "mlengineer", "admin", "jobs")
"""The columns of the tables; `jobs` is prod's service principal."""
PROJECT = """
bundle: {name: doors}
targets: {dev: {default: true, environment: dev}, staging: {environment: staging}, prod: {environment: prod}}
resources: {jobs: {load: {tasks: [{task_key: load, sql_task: {query: "select 1"}}]}}}
"""


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
            name, asked, body, expected = ("" if cell.strip() == "-" else cell.strip() for cell in line.split(" | "))
            found[name] = Door(name, asked, body, tuple(expected.split()))
    return found


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


def judged(door: Door, found: list[str]) -> str:
    """What is wrong with what was found, as the line that would be right; empty where nothing is."""
    expected = door.expected or ("?",) * len(PERSONAS)
    pairs = list(zip(expected, found, strict=True))
    if all(want == got or (want == "in" and got not in ("401", "403", "404") and got < "500") for want, got in pairs):
        return ""
    return f"{door.name} | {door.asked or '-'} | {door.body or '-'} | {' '.join(found)}\n    not: {' '.join(expected)}"


def denials(platform: Platform) -> int:
    """How many refusals the audit log holds."""
    with platform.database.reading() as connection:
        return int(connection.execute(sa.select(sa.func.count()).where(audit.c.outcome == "denied")).scalar_one())


def send(client: TestClient, door: Door, fresh: Any, persona: str, token: str) -> str:
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


def test_every_route_lets_in_whom_it_should_and_nobody_else(platform: Platform, fresh: Any, tokens: dict[str, str]) -> None:
    table, wrong = doors("http.txt"), []
    there, app = routes(platform)
    assert (gone := sorted(set(table) - set(there))) == [], f"lines of routes that are gone: {gone}"
    with TestClient(app, raise_server_exceptions=False, base_url="http://127.0.0.1") as client:
        for name in there:
            door, told = table.get(name, Door(name, "", "", ())), denials(platform)
            answers = [send(client, door, fresh, persona, tokens[persona]) for persona in PERSONAS]
            wrong.append(judged(door, answers))
            if denials(platform) - told < answers.count("403"):
                wrong.append(f"{name}: a refusal is not in the audit log")
    app.close()
    assert not any(wrong), "\n".join(["doors/http.txt:", *filter(None, wrong)])


def test_mlflows_paths_are_guarded_by_their_class(platform: Platform, fresh: Any, tokens: dict[str, str]) -> None:
    table, wrong = doors("mlflow.txt"), []
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


@pytest.fixture
def run(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command with a token, inside a project; the status that its error stands for, or 200."""
    statuses = {c.error_code: c.http_status for c in _tree(errors.BoathouseError)}
    (tmp_path / "boathouse.yml").write_text(PROJECT)
    for words in ("init --quiet --initial-branch=main", "add --all", "commit --quiet -m Start"):
        subprocess.run(["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *words.split()], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(context, "in_process", lambda: None)  # a command is a process of its own
    monkeypatch.setattr(cli, "app", typer.main.get_command(cli.app))  # the tree of commands is built once
    monkeypatch.setattr(atexit, "register", lambda act: act)
    monkeypatch.setenv("BOATHOUSE_URL", server.url)

    def call(token: str, words: list[str]) -> str:
        monkeypatch.setenv("BOATHOUSE_TOKEN", token)
        monkeypatch.setattr("sys.stdin", io.StringIO("a long enough one\n"))
        try:
            cli.main(["--env", "prod", *words])
        except SystemExit as end:
            said = capsys.readouterr().err
            code = re.search(r"\[([A-Z_]+)\]\s*$", said)
            return "200" if not end.code else str(statuses[code[1]]) if code else f"exit{end.code}"
        capsys.readouterr()
        return "200"

    return call


def _tree(root: type[errors.BoathouseError]) -> list[type[errors.BoathouseError]]:
    return [root, *(c for child in root.__subclasses__() for c in _tree(child))]


def verbs() -> list[str]:
    """Every verb of the command line."""

    def walk(command: click.Command, words: tuple[str, ...]) -> Iterator[str]:
        below: dict[str, click.Command] = getattr(command, "commands", {})
        if not below:
            yield " ".join(words)
        for name, child in below.items():
            yield from walk(child, (*words, name))

    command: Any = typer.main.get_command(cli.app) if isinstance(cli.app, typer.Typer) else cli.app
    return list(walk(command, ()))


def test_every_verb_works_for_whom_it_should_and_nobody_else(
    fresh: Any, tokens: dict[str, str], run: Callable[[str, list[str]], str]
) -> None:
    table, wrong, there = doors("cli.txt"), [], verbs()
    assert (gone := sorted(set(table) - set(there))) == [], f"lines of verbs that are gone: {gone}"
    for name in there:
        door = table.get(name, Door(name, "", "", ()))
        if door.expected != ("local",):
            found = [run(tokens[p], [*name.split(), *shlex.split(fresh.fill(door.asked, p))]) for p in PERSONAS]
            wrong.append(judged(door, found))
    assert not any(wrong), "\n".join(["doors/cli.txt:", *filter(None, wrong)])
