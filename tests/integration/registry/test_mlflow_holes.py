"""Ways round MLflow's own authorization, each tried against a live server: runs, experiments, traces and files of another
environment are not there, however they are asked for."""

import json
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")
Client = Callable[[str], Any]
SECRET = "only for dev"
FILES = "2.0/mlflow-artifacts/artifacts"


@pytest.fixture(scope="module")
def theirs(live: Any) -> dict[str, str]:
    """What ada has in dev: an experiment, a run with a metric and a file, a trace, a data set."""

    def made(path: str, **body: Any) -> Any:
        answer = live.http("POST", f"/api/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    experiment = made("2.0/mlflow/experiments/create", name="holes")["experiment_id"]
    run = made("2.0/mlflow/runs/create", experiment_id=experiment, run_name=SECRET)["run"]["info"]["run_id"]
    made("2.0/mlflow/runs/log-metric", run_id=run, key="auc", value=0.7, timestamp=1, step=0)
    rows = {"dataset": {"name": "rows-of-dev", "digest": "d1", "source_type": "code", "source": "{}"}}
    made("2.0/mlflow/runs/log-inputs", run_id=run, datasets=[rows])
    model = made("2.0/mlflow/logged-models", experiment_id=experiment, name=SECRET)["model"]["info"]["model_id"]
    trace = {"trace_id": "tr-1", "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
             "request_time": "2026-01-01T00:00:00Z", "state": "OK", "tags": {"boathouse.environment": "prod"}}  # fmt: skip
    made("3.0/mlflow/traces", trace={"trace_info": trace})
    dataset = made("3.0/mlflow/datasets/create", name=SECRET, experiment_ids=[experiment])["dataset"]["dataset_id"]
    made(f"3.0/mlflow/datasets/{dataset}/records", records=json.dumps([{"inputs": {"said": SECRET}}]))
    file = f"{experiment}/{run}/artifacts/notes.txt"
    assert live.http("PUT", f"/api/{FILES}/{file}", content=SECRET.encode()).status_code == 200
    return {"experiment": experiment, "run": run, "model": model, "trace": "tr-1", "dataset": dataset, "file": file}


READS = (
    "2.0/mlflow/runs/get?run_id={run}", "2.0/mlflow/artifacts/list?run_id={run}",
    "2.0/mlflow/experiments/get?experiment_id={experiment}", "2.0/mlflow/experiments/get-by-name?experiment_name=/dev/holes",
    "2.0/mlflow/logged-models/{model}", "2.0/mlflow/logged-models/{model}/artifacts/directories",
    "3.0/mlflow/traces/{trace}", "3.0/mlflow/datasets/{dataset}",
    "2.0/mlflow/traces/{trace}/info",
    "2.0/mlflow-artifacts/artifacts/{file}", "2.0/mlflow-artifacts/artifacts?path={experiment}/{run}/artifacts",
)  # fmt: skip


@pytest.mark.parametrize("prefix", ["/api/", "/ajax-api/", "/mlflow/ajax-api/"])
@pytest.mark.parametrize("path", READS)
def test_what_is_another_environments_is_not_there(live: Any, theirs: dict[str, str], path: str, prefix: str) -> None:
    theirs_and_mine = [live.http("GET", prefix + path.format(**theirs), who) for who in ("ada", "bob")]
    ada, bob = (answer.status_code for answer in theirs_and_mine)
    assert (ada, bob) == (200, 404), [answer.text for answer in theirs_and_mine]


@pytest.mark.parametrize("path", ["get-history?run_id={run}", "get-history-bulk?run_id={run}",
                                  "get-history-bulk-interval?run_ids={run}&max_results=10"])  # fmt: skip
def test_metrics_of_another_environment_are_none(live: Any, theirs: dict[str, str], path: str) -> None:
    query = f"/ajax-api/2.0/mlflow/metrics/{path.format(**theirs)}&metric_key=auc"
    ada, bob = (live.http("GET", query, who).json().get("metrics", []) for who in ("ada", "bob"))
    assert (len(ada), bob) == (1, [])


def test_rows_that_hang_on_a_data_set_or_a_run_are_hidden_with_it(live: Any, theirs: dict[str, str]) -> None:
    asked = {"experiment_ids": [theirs["experiment"]]}
    for method, path, mark in (("GET", f"3.0/mlflow/datasets/{theirs['dataset']}/records", SECRET),
                               ("GET", f"3.0/mlflow/datasets/{theirs['dataset']}/experiment-ids", f'"{theirs["experiment"]}"'),
                               ("POST", "2.0/mlflow/experiments/search-datasets", "rows-of-dev")):  # fmt: skip
        ada, bob = (live.http(method, f"/ajax-api/{path}", who, json=asked).text for who in ("ada", "bob"))
        assert (mark in ada, mark in bob) == (True, False), (ada, bob)


@pytest.mark.parametrize("path", ["/get-artifact?run_uuid={run}&path=notes.txt",
                                  "/mlflow/get-artifact?run_uuid={run}&path=notes.txt",
                                  "/ajax-api/2.0/mlflow/get-trace-artifact?request_id={trace}"])  # fmt: skip
def test_files_that_the_pages_show_are_not_another_environments(live: Any, theirs: dict[str, str], path: str) -> None:
    ada, bob = (live.http("GET", path.format(**theirs), who) for who in ("ada", "bob"))
    assert ada.status_code != 404 or "trace" in path
    assert bob.status_code == 404
    assert SECRET not in bob.text


SEARCHES = (
    ("2.0/mlflow/runs/search", {"experiment_ids": ["{experiment}", "0"]}),
    ("2.0/mlflow/experiments/search", {"max_results": 100}),
    ("2.0/mlflow/logged-models/search", {"experiment_ids": ["{experiment}"]}),
    ("3.0/mlflow/datasets/search", {}), ("3.0/mlflow/traces/batchGetInfos", {"trace_ids": ["tr-1"]}),
    ("3.0/mlflow/traces/search", {"locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]}),
)  # fmt: skip


@pytest.mark.parametrize(("path", "body"), SEARCHES)
def test_searches_find_what_is_one_s_own(live: Any, theirs: dict[str, str], path: str, body: dict[str, Any]) -> None:
    if "experiment_ids" in body:
        body = {"experiment_ids": [e.format(**theirs) for e in body["experiment_ids"]]}
    marks = (theirs["run"], "/dev/holes", theirs["model"], theirs["dataset"], "tr-1")
    ada, bob = (live.http("POST", f"/api/{path}", who, json=body).text for who in ("ada", "bob"))
    assert any(f'"{mark}"' in ada for mark in marks), ada
    assert not any(f'"{mark}"' in bob for mark in marks), bob


def test_pages_of_a_search_are_full(client: Client, theirs: dict[str, str]) -> None:
    made = {who: [client(who).create_run("0").info.run_id for _ in range(3)] for who in ("bob", "ada", "bob", "ada")}
    page = client("bob").search_runs(["0"], max_results=3)
    assert {run.info.run_id for run in page} == set(made["bob"])
    assert len(client("bob").search_runs(["0"], max_results=4, page_token=page.token)) >= 3
    assert {run.info.run_id for run in client("ada").search_runs(["0"], max_results=3)} == set(made["ada"])


def test_graphql_answers_for_each_object(live: Any, theirs: dict[str, str]) -> None:
    asked = {"query": f'{{mlflowGetRun(input: {{runId: "{theirs["run"]}"}}) {{run {{info {{runName}}}} apiError {{code}}}}}}'}
    many = {"query": f'mutation {{mlflowSearchRuns(input: {{experimentIds: ["{theirs["experiment"]}"]}}) '
                     "{runs {info {runName}}}}"}  # fmt: skip
    for body in (asked, many):
        assert SECRET in live.http("POST", "/graphql", json=body).text
        assert SECRET not in live.http("POST", "/graphql", "bob", json=body).text


def test_nothing_is_written_into_another_environment(live: Any, theirs: dict[str, str]) -> None:
    def tried(method: str, path: str, **options: Any) -> int:
        return int(live.http(method, f"/api/{path}", "bob", **options).status_code)

    run, experiment = theirs["run"], theirs["experiment"]
    assert tried("POST", "2.0/mlflow/runs/create", json={"experiment_id": experiment}) == 404
    assert tried("POST", "2.0/mlflow/runs/set-tag", json={"run_id": run, "key": "a", "value": "b"}) == 404
    assert tried("POST", "2.0/mlflow/runs/delete", json={"run_id": run}) == 404
    assert tried("POST", "2.0/mlflow/runs/update", json={"run_id": run, "status": "FAILED"}) == 404
    assert tried("POST", "2.0/mlflow/experiments/update", json={"experiment_id": experiment, "new_name": "x"}) == 404
    assert tried("POST", "2.0/mlflow/experiments/create", json={"name": "/dev/mine"}) == 403
    assert tried("PATCH", "2.0/mlflow/traces/tr-1/tags", json={"key": "a", "value": "b"}) == 404
    assert tried("PUT", f"{FILES}/{theirs['file']}", content=b"mine") == 404
    assert tried("DELETE", f"{FILES}/{theirs['file']}") == 404
    assert live.http("GET", f"/api/{FILES}/{theirs['file']}").text == SECRET


TWISTS = ("./{file}", "{experiment}%2f{run}%2fartifacts%2fnotes.txt", "x/../{file}", "%2e/{file}", "/{file}",
          "{experiment}/./{run}/artifacts/notes.txt", "{experiment}%252f{run}/artifacts/a")  # fmt: skip
SHUT = ("/api/3.0/mlflow/gateway/endpoints/list", "/api/3.0/mlflow/mcp-servers", "/ajax-api/3.0/jobs/search",
        "/api/3.0/mlflow/assistant/config", "/ajax-api/2.0/mlflow/webhooks", "/api/2.0/mlflow/new-route")  # fmt: skip


@pytest.mark.parametrize("twist", TWISTS)
def test_a_path_that_is_written_otherwise_leads_nowhere(live: Any, theirs: dict[str, str], twist: str) -> None:
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    connection = HTTPConnection(urlsplit(live.url).netloc, timeout=60)  # sends what it is given, as httpx would not
    connection.request("GET", f"/api/{FILES}/{twist.format(**theirs)}", headers={"Authorization": "Bearer bob"})
    answer = connection.getresponse()
    assert (answer.status in (400, 404), SECRET.encode() in answer.read()) == (True, False)
    connection.close()


@pytest.mark.parametrize("query", ["path={run}", "", "path=0/none&path={experiment}/{run}/artifacts", "path=x/../{experiment}"])
def test_a_listing_names_one_folder_of_a_run(live: Any, theirs: dict[str, str], query: str) -> None:
    for who in ("ada", "bob"):
        assert live.http("GET", f"/api/{FILES}?{query.format(**theirs)}", who).status_code == 400


@pytest.mark.parametrize("path", SHUT)
def test_a_route_that_nobody_judged_is_not_there(live: Any, path: str) -> None:
    assert live.http("GET", path, "root").status_code == 404


def test_two_environments_have_an_experiment_of_one_name(client: Client) -> None:
    made = {who: client(who).create_experiment("delays") for who in ("ada", "bob")}
    assert made["ada"] != made["bob"]
    for who, environment in (("ada", "dev"), ("bob", "prod")):
        found = client(who).get_experiment_by_name("delays")
        assert (found.experiment_id, found.name) == (made[who], f"/{environment}/delays")
        assert [e.experiment_id for e in client(who).search_experiments(filter_string="name = 'delays'")] == [made[who]]
