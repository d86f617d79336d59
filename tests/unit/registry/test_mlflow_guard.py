"""Who gets past the guard, to which routes, and in whose name."""

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from boathouse.database import Database
from boathouse.errors import InvalidInput, Unauthenticated
from boathouse.registry.actor import actor
from boathouse.server.mlflow_guard import Guard, canonical, owns, route

RUNS = "/api/2.0/mlflow/runs/search"
FILE = "/api/2.0/mlflow-artifacts/artifacts/1/" + "a" * 32 + "/artifacts/x.txt"
Ask = Callable[..., httpx.Response]


@dataclass(frozen=True)
class Who:
    principal: str
    environment: str | None = "dev"
    run_id: str | None = None


PEOPLE = {
    "ada": Who("ada"),
    "eve": Who("eve"),
    "lee": Who("lee"),
    "task": Who("dev-jobs", run_id="r1"),
    "root": Who("root", None),
    "pat": Who("pat", None),
}


def authenticate(token: str | None) -> Who:
    if token not in PEOPLE:
        raise Unauthenticated
    return PEOPLE[token]


def allow(who: Who, privilege: str, name: str) -> bool:
    seen = ("prod",) if who.principal == "pat" else ("dev", "prod")
    held = {"lee": ("USE CATALOG",), "ada": (privilege,), "root": (privilege,)}.get(who.principal, ("USE CATALOG", "SELECT"))
    return name.partition(".")[0] in seen and privilege in held


async def mlflow(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what MLflow would have seen."""
    who = actor() if scope["path"] != "/version" else None
    seen = {"path": scope["path"], "who": who and who.principal, "in": who and who.environment}
    headers = [(b"content-disposition", b"attachment")] if "artifacts" in scope["path"] else []
    seen["headers"] = sorted(k.decode() for k, _ in scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})


@pytest.fixture
def denials() -> list[tuple[str, str, str]]:
    return []


@pytest.fixture
def ask(database: Database, denials: list[tuple[str, str, str]]) -> Ask:
    guard = Guard(mlflow, database, authenticate, allow, cookie="session", login_url="/login",
                  denied=lambda *what: denials.append(what))  # fmt: skip

    def ask(method: str, path: str, token: str | None = "ada", **headers: str) -> httpx.Response:
        if token:
            headers.setdefault("authorization", f"Bearer {token}")

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(guard)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://lake") as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(send())

    return ask


def test_nobody_gets_in_without_a_token(ask: Ask) -> None:
    answer = ask("POST", RUNS, None)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert ask("POST", RUNS, "stranger").status_code == 401
    assert ask("GET", "/version", None).status_code == 200


def test_a_browser_without_a_session_is_sent_to_log_in(ask: Ask) -> None:
    answer = ask("GET", "/mlflow/", None, accept="text/html")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/mlflow/")


@pytest.mark.parametrize(
    "credentials",
    [
        {"authorization": "Bearer ada"},
        {"authorization": "Basic " + base64.b64encode(b":ada").decode()},
        {"authorization": "Basic " + base64.b64encode(b"dev:ada").decode()},
        {"cookie": "other=1; session=ada", "origin": "http://lake"},
    ],
)
def test_a_token_comes_as_bearer_password_or_session(ask: Ask, credentials: dict[str, str]) -> None:
    seen = ask("POST", RUNS, None, **credentials).json()
    assert (seen["who"], seen["in"]) == ("ada", "dev")
    assert not {"authorization", "cookie", "origin"} & set(seen["headers"])


def test_an_unbound_token_chooses_its_environment(ask: Ask) -> None:
    assert ask("POST", RUNS, "root").json()["in"] == "dev"
    assert ask("POST", RUNS, "root@prod").json()["in"] == "prod"
    basic = "Basic " + base64.b64encode(b"prod:root").decode()
    assert ask("POST", RUNS, None, authorization=basic).json()["in"] == "prod"
    assert ask("POST", RUNS, "root@mars").status_code == 403
    assert ask("POST", RUNS, "pat").json()["in"] == "prod"  # the first that pat may use


def test_a_bound_token_cannot_choose_another_environment(ask: Ask) -> None:
    answer = ask("POST", RUNS, "ada@prod")
    assert (answer.status_code, answer.json()["message"]) == (403, "the token is for dev, not for prod")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://lake:81", "https://lake.evil.example"])
def test_a_change_from_another_sites_page_is_refused(ask: Ask, origin: str) -> None:
    assert ask("POST", RUNS, origin=origin).status_code == 403
    assert ask("PUT", FILE, origin=origin).status_code == 403
    assert ask("GET", "/api/2.0/mlflow/runs/get", origin=origin).status_code == 200


def test_a_session_changes_nothing_without_an_origin(ask: Ask) -> None:
    assert ask("POST", RUNS, None, cookie="session=ada").status_code == 403
    assert ask("GET", "/api/2.0/mlflow/runs/get", None, cookie="session=ada").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/2.0/mlflow/webhooks"),
        ("POST", "/ajax-api/3.0/mlflow/gateway/secrets/create"),
        ("POST", "/gateway/proxy/x/y"),
        ("GET", "/api/3.0/mlflow/assistant/config"),
        ("GET", "/api/2.0/mlflow/brand-new"),
        ("DELETE", RUNS),
        ("OPTIONS", RUNS),
    ],
)
def test_what_the_table_does_not_open_is_not_there(ask: Ask, method: str, path: str) -> None:
    assert ask(method, path).status_code == 404


@pytest.mark.parametrize("path", ["/a//b", "/a/../b", "/a/./b", "/a/..", "/a\\b", "/a%2e%2e/b", "/a%00", "/mlflow//x"])
def test_a_twisted_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidInput, match="not written plainly"):
        canonical(path)


def test_a_path_that_hides_its_dots_is_refused(ask: Ask) -> None:
    for hidden in ("%2e%2e%2f", "%252e%252e%252f", "..%2f", "%2f"):
        assert ask("GET", FILE.replace("artifacts/x", f"artifacts/{hidden}x")).status_code == 400


def test_the_ui_lives_below_its_prefix(ask: Ask) -> None:
    assert ask("GET", "/mlflow/").json()["path"] == "/"
    assert ask("GET", "/mlflow").headers["location"] == "/mlflow/"
    assert ask("POST", "/mlflow/ajax-api/2.0/mlflow/runs/search").json()["path"] == "/ajax-api/2.0/mlflow/runs/search"


def test_only_those_who_may_work_in_the_environment_log_runs(ask: Ask) -> None:
    create = "/api/2.0/mlflow/runs/create"
    assert ask("POST", create, "ada").status_code == 200
    assert ask("POST", create, "task").status_code == 200
    assert ask("POST", create, "eve").status_code == 403
    assert ask("POST", RUNS, "eve").status_code == 200
    assert ask("POST", RUNS, "lee").status_code == 403


def test_refusals_are_told_to_the_audit_log(ask: Ask, denials: list[tuple[str, str, str]]) -> None:
    ask("POST", "/api/2.0/mlflow/runs/create", "eve")
    ask("POST", RUNS, "lee")
    ask("POST", RUNS, "ada")
    assert denials == [("eve", "RUN", "dev"), ("lee", "RUN", "dev")]


def test_files_are_written_below_runs_of_ones_own_environment(ask: Ask, database: Database) -> None:
    assert ask("PUT", FILE).status_code == 200
    assert ask("PUT", "/api/2.0/mlflow-artifacts/artifacts/anywhere.txt").status_code == 400
    with database.writing() as connection:
        run = {"run": "a" * 32}
        connection.execute(sa.text("INSERT INTO runs (run_uuid, experiment_id) VALUES (:run, NULL)"), run)
        connection.execute(sa.text("INSERT INTO tags VALUES ('boathouse.environment', 'prod', :run)"), run)
    assert ask("PUT", FILE).status_code == 403
    assert ask("PUT", FILE, "root").status_code == 200


def test_files_that_people_made_are_shown_without_rights(ask: Ask) -> None:
    assert ask("GET", FILE).headers["content-security-policy"] == "sandbox"


def test_ajax_routes_need_what_their_twins_need() -> None:
    assert route("/ajax-api/2.0/mlflow/runs/create", "POST") == route("/api/2.0/mlflow/runs/create", "POST") == "write"
    assert route("/api/2.0/mlflow/runs/get", "HEAD") == "read"


def test_the_dispatcher_learns_which_paths_are_mlflows() -> None:
    ours = ["/mlflow", "/mlflow/x", "/version", "/graphql", "/api/2.0/mlflow/runs/get", "/ajax-api/2.0/x", "/v1/traces"]
    others = ["/", "/health", "/api/v1/models", "/api/2.0/mlflowx", "/mlflows", "/versions"]
    assert [path for path in [*ours, *others] if owns(path)] == ours
