"""MLflow's own UI in a real browser: behind the login, with a session, and with what its caller may see."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from chromium import Chromium, Tab

from boathouse import clock
from boathouse.platform import Platform
from boathouse.server import Server

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's server leaves files of its pages open
PASSWORD = "correct horse battery"
SECRET = "only for dev"
SHUT = ("/mlflow/users/current", "/mlflow/assistant/")
"""Asked at the start of every page; the pages do without. MLflow's own accounts and its assistant are not there."""
FILES = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture(scope="module")
def logged(server: Server, platform: Platform) -> dict[str, str]:
    """What ada has in dev: a run with a parameter, a metric over steps and a file, a model with a version, a trace."""
    token = platform.identities.issue("ada", environment="dev")
    client = httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=60)

    def made(path: str, **body: Any) -> Any:
        answer = client.post(f"/api/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    experiment = made("2.0/mlflow/experiments/create", name="looked-at")["experiment_id"]
    run = made("2.0/mlflow/runs/create", experiment_id=experiment, run_name=SECRET, start_time=1_700_000_000_000)
    run_id, where = run["run"]["info"]["run_id"], f"{experiment}/{run['run']['info']['run_id']}/artifacts"
    made("2.0/mlflow/runs/log-parameter", run_id=run_id, key="depth", value="7")
    for step in range(3):
        made("2.0/mlflow/runs/log-metric", run_id=run_id, key="auc", value=0.7 + step / 100, timestamp=1 + step, step=step)
    for name, text in (("notes.txt", "what the file says"), ("model/MLmodel", "flavors: {}\n")):
        client.put(f"{FILES}/{where}/{name}", content=text.encode()).raise_for_status()
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    now = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    trace = {"trace_id": "tr-1f", "trace_location": place, "request_time": now, "state": "OK",
             "request_preview": "what was asked"}  # fmt: skip
    made("3.0/mlflow/traces", trace={"trace_info": trace})
    made("2.0/mlflow/registered-models/create", name="flights.looked_at")
    made("2.0/mlflow/model-versions/create", name="flights.looked_at", source=f"mlflow-artifacts:/{where}/model",
         run_id=run_id)  # fmt: skip
    client.close()
    platform.identities.ensure("vera", "user")
    platform.access.grant(platform.operator, ["vera"], ["USE CATALOG", "RUN", "EXECUTE"], "catalog", "prod")
    return {"experiment": experiment, "run": run_id, "model": "dev.flights.looked_at"}


def log_in(chromium: Chromium, server: Server, platform: Platform, name: str) -> Tab:
    """A tab whose person asked for MLflow, was sent to the login, and filled its form in."""
    platform.logins.passwords.put(name, PASSWORD)
    tab = chromium.tab()
    tab.visit(f"{server.url}/mlflow/", "Password")
    assert "/login?next=/mlflow/" in tab.value("location.href")
    fill_in(tab, name)
    tab.settle("Recent Experiments")
    assert tab.value("location.pathname") == "/mlflow/"
    return tab


def fill_in(tab: Tab, name: str) -> None:
    """Send the login's form."""
    fields = json.dumps({"username": name, "password": PASSWORD})
    tab.value(f"for (const [name, value] of Object.entries({fields})) document.querySelector(`[name=${{name}}]`).value = value;"
              "document.querySelector('[name=password]').form.requestSubmit()")  # fmt: skip


def click(tab: Tab, text: str) -> None:
    """Click the innermost element that says just this."""
    tab.value(f"[...document.querySelectorAll('*')].filter(e => e.textContent.trim() === {json.dumps(text)}).at(-1).click()")


@pytest.mark.long
def test_every_page_shows_what_one_has_and_needs_nothing_that_is_refused(
    chromium: Chromium, server: Server, platform: Platform, logged: dict[str, str]
) -> None:
    tab, base = log_in(chromium, server, platform, "ada"), f"{server.url}/mlflow/#"
    run = f"/experiments/{logged['experiment']}/runs/{logged['run']}"
    for path, text in (
        ("/experiments", "/dev/looked-at"), (f"/experiments/{logged['experiment']}/runs", SECRET), (run, "depth"),
        (f"{run}/model-metrics", "auc"), (f"{run}/traces", "No traces"), ("/models", logged["model"]),
        (f"/models/{logged['model']}", "Version 1"), (f"/models/{logged['model']}/versions/1", SECRET),
        (f"/experiments/{logged['experiment']}/traces", "what was asked"), ("/prompts", "Prompts"),
    ):  # fmt: skip
        tab.visit(base + path, text)
    tab.visit(f"{base}{run}/artifacts", "notes.txt")
    click(tab, "notes.txt")
    tab.settle("what the file says")
    assert [asked for _, asked in tab.failed if not any(shut in asked for shut in SHUT)] == []
    assert tab.errors == []


def test_links_that_mlflows_client_prints_lead_to_its_pages_also_through_the_login(
    chromium: Chromium, server: Server, platform: Platform, logged: dict[str, str]
) -> None:
    run = f"#/experiments/{logged['experiment']}/runs/{logged['run']}"
    platform.logins.passwords.put("ada", PASSWORD)
    tab = chromium.tab()
    tab.visit(f"{server.url}/{run}", "Password")
    fill_in(tab, "ada")
    tab.settle(SECRET)
    assert tab.value("location.pathname + location.hash") == f"/mlflow/{run}"
    tab.visit(f"{server.url}/static/icon.svg")
    tab.visit(f"{server.url}/#/models/{logged['model']}", "Version 1")
    assert tab.value("location.pathname + location.hash") == f"/mlflow/#/models/{logged['model']}"
    tab.visit(f"{server.url}/", "Environments")
    assert tab.value("location.pathname") == "/"


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of an empty page of another server on the same host, to which the browser sends the same cookies."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{other.server_port}/"
        other.shutdown()


@pytest.mark.long
def test_a_change_by_a_page_is_made_and_one_by_another_servers_page_is_not(
    chromium: Chromium, server: Server, platform: Platform, logged: dict[str, str], elsewhere: str
) -> None:
    tab = log_in(chromium, server, platform, "ada")
    path = f"{server.url}/mlflow/ajax-api/2.0/mlflow/runs/set-tag"

    def tag(value: str, **options: Any) -> None:
        ask = {
            "method": "POST",
            "credentials": "include",
            "body": json.dumps({"run_id": logged["run"], "key": "a", "value": value}),
        }
        tab.value(f"fetch({json.dumps(path)}, {json.dumps(ask | options)}).then(a => a.status, String)")
        tab.settle()

    def told() -> Any:
        tab.visit(f"{server.url}/mlflow/ajax-api/2.0/mlflow/runs/get?run_id={logged['run']}")
        run = json.loads(tab.value("document.body.innerText"))["run"]
        return {t["key"]: t["value"] for t in run["data"]["tags"]}.get("a")

    tag("by a page", headers={"Content-Type": "application/json"})
    assert told() == "by a page"
    tab.visit(elsewhere)
    tag("by another server", mode="no-cors")
    assert [status for status, asked in tab.failed if asked.startswith("POST")] == [403]
    assert told() == "by a page"


@pytest.mark.long
def test_who_may_not_see_an_environment_sees_nothing_of_it_and_no_page_breaks(
    chromium: Chromium, server: Server, platform: Platform, logged: dict[str, str]
) -> None:
    tab, base = log_in(chromium, server, platform, "vera"), f"{server.url}/mlflow/#"
    run = f"/experiments/{logged['experiment']}/runs/{logged['run']}"
    shown = [tab.visit(base + path, text) for path, text in (
        ("/experiments", "Default"), ("/models", "Registered Models"), (run, "does not exist"),
        (f"/models/{logged['model']}/versions/1", "does not exist"), (f"/experiments/{logged['experiment']}/runs", "not found"),
    )]  # fmt: skip
    assert not any(word in text for word in (SECRET, "looked-at", "depth") for text in shown)
    assert "looked_at" not in shown[1]
    assert {status for status, _ in tab.failed} == {404}


def test_whoever_may_not_look_into_mlflow_is_told_so_on_a_page(server: Server) -> None:
    server.platform.identities.ensure("stranger", "user")
    header = {"Authorization": f"Bearer {server.platform.identities.issue('stranger')}"}
    page = httpx.get(f"{server.url}/mlflow/", headers={**header, "Accept": "text/html"}, trust_env=False)
    assert (page.status_code, page.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert "stranger lacks USE CATALOG" in page.text
    assert httpx.get(f"{server.url}/mlflow/", headers=header, trust_env=False).json()["error_code"] == "PERMISSION_DENIED"
