"""Runs are found, sorted and compared at the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boathouse.client import Http, Lake
from boathouse.errors import NotFound, NotPermitted

pytestmark = [pytest.mark.xdist_group("tuning"), pytest.mark.filterwarnings("ignore")]
Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def logged(lake: Lake) -> list[str]:
    """Three runs of the experiment `trees`, which differ in depth and by their metrics."""
    def post(path: str, **body: Any) -> Any:
        return lake.call("POST", f"/api/2.0/mlflow/{path}", body)

    experiment = post("experiments/create", name="trees")["experiment_id"]
    made = []
    for depth, auc in ((2, 0.61), (4, 0.74), (8, 0.7)):
        tags = [{"key": "boathouse.git_commit", "value": f"c{depth}"}, {"key": "boathouse.seed", "value": "7"}]
        run = post("runs/create", experiment_id=experiment, run_name=f"depth {depth}", tags=tags, start_time=depth)["run"]
        run_id = run["info"]["run_id"]
        params = [{"key": "depth", "value": str(depth)}, {"key": "rate", "value": "0.1"}]
        post("runs/log-batch", run_id=run_id, params=params, metrics=[{"key": "auc", "value": auc, "timestamp": 1, "step": 0}])
        made.append(run_id)
    return made


def test_what_differs_between_runs_is_told(logged: list[str], command: Command) -> None:
    code, said = command("experiments", "compare", *logged, "--json")
    assert code == 0, said
    rows = {(r["kind"], r["name"]): (r["values"], r["differs"]) for r in json.loads(said)["rows"]}
    assert rows["parameter", "depth"] == (["2", "4", "8"], True)
    assert rows["parameter", "rate"] == (["0.1"] * 3, False)
    assert rows["metric", "auc"] == ([0.61, 0.74, 0.7], True)
    assert rows["record", "git_commit"] == (["c2", "c4", "c8"], True)
    assert rows["record", "seed"][1] is False
    _, said = command("experiments", "compare", *logged)
    assert ("depth" in said, "rate" in said) == (True, False)
    assert "rate" in command("experiments", "compare", *logged, "--all")[1]
    assert "two different runs" in command("experiments", "compare", logged[0], logged[0])[1]


def test_metrics_are_drawn(logged: list[str], command: Command, tmp_path: Path) -> None:
    for name, begins in (("it.svg", b"<svg"), ("it.png", b"\x89PNG")):
        code, said = command("experiments", "compare", *logged, "--plot", str(tmp_path / name))
        assert code == 0, said
        assert (tmp_path / name).read_bytes().startswith(begins)
    assert ".svg or .png" in command("experiments", "compare", *logged, "--plot", "it.pdf")[1]


def test_runs_are_sorted_and_filtered(logged: list[str], command: Command) -> None:
    def found(*words: str) -> list[str]:
        code, said = command("experiments", "runs", "trees", "--json", *words)
        assert code == 0, said
        return [row["run_id"] for row in json.loads(said)]

    assert found("--sort", "-metrics.auc") == [logged[1], logged[2], logged[0]]
    assert found("--sort", "start_time") == logged
    assert found("--filter", "metrics.auc > 0.65 and params.depth = '8'") == [logged[2]]
    assert len(found("--limit", "1")) == 1


BUNDLE = """
bundle: {name: shop}
targets: {dev: {default: true, environment: dev}}
resources:
  experiments:
    trees: {name: trees, permissions: [{level: LEVEL, group_name: guests}]}
"""


def test_an_experiment_is_shared_by_its_permissions_and_nothing_else_is(
    lake: Lake, logged: list[str], tmp_path: Path, command: Command
) -> None:
    def deploy(level: str) -> None:
        (tmp_path / "boathouse.yml").write_text(BUNDLE.replace("LEVEL", level))
        assert lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(tmp_path)})["notes"] == []

    lake.call("POST", "/api/v1/principals", {"name": "guests", "kind": "group"})
    lake.call("POST", "/api/v1/principals", {"name": "gil"})
    lake.call("PUT", "/api/v1/groups/guests/members/gil")
    use = {"principal": "guests", "privilege": "USE CATALOG", "kind": "catalog", "securable": "dev"}
    lake.call("POST", "/api/v1/grants", use)
    gil = Http(lake.http.url, lake.call("POST", "/api/v1/tokens", {"principal": "gil"})["token"])
    other = lake.call("POST", "/api/2.0/mlflow/experiments/create", {"name": "secret"})["experiment_id"]
    trees = lake.http.call("GET", "/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "trees"})["experiment"]
    number = trees["experiment_id"]

    def ask(path: str, **body: Any) -> Any:
        return gil.call("POST", f"/api/2.0/mlflow/{path}", body)

    with pytest.raises(NotPermitted, match="gil lacks RUN or DEPLOY or SELECT"):
        ask("runs/search", experiment_ids=[number])
    deploy("CAN_READ")
    found = ask("runs/search", experiment_ids=[number, other])["runs"]
    assert {run["info"]["run_id"] for run in found} == set(logged)
    assert {metric["key"] for run in found for metric in run["data"]["metrics"]} == {"auc"}
    assert {e["name"] for e in ask("experiments/search", max_results=10)["experiments"]} <= {"/dev/trees", "Default"}
    with pytest.raises(NotPermitted):
        ask("runs/create", experiment_id=number, start_time=1)
    deploy("CAN_EDIT")
    run = ask("runs/create", experiment_id=number, start_time=1)["run"]["info"]["run_id"]
    ask("runs/log-batch", run_id=run, metrics=[{"key": "auc", "value": 0.9, "timestamp": 1, "step": 0}])
    for path, body in (
        ("runs/create", {"experiment_id": other}), ("experiments/create", {"name": "mine"}),
        ("experiments/delete", {"experiment_id": number}), ("registered-models/create", {"name": "a.b"}),
    ):  # fmt: skip
        with pytest.raises((NotPermitted, NotFound)):
            ask(path, **body)
    assert command("grants", "remove", "SELECT", "--from", "guests", "--experiment", "dev.trees")[0] == 0
    lake.call("DELETE", "/api/v1/deployments/dev/shop")
    with pytest.raises(NotPermitted):
        ask("runs/search", experiment_ids=[number])
    gil.close()
