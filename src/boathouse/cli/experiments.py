"""Experiments: their runs, found and compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from boathouse.cli.output import JSON, dump, say, show
from boathouse.cli.session import connected
from boathouse.errors import InvalidInput

if TYPE_CHECKING:
    from boathouse.client import Connection

experiments = typer.Typer(help="Experiments and their MLflow runs.", no_args_is_help=True)
_API = "/api/2.0/mlflow"
_RECORD = "boathouse."
_ORDERED = ("metrics.", "params.", "tags.", "attributes.")
_PICTURES = (".svg", ".png")


@experiments.command("list")
def list_experiments(as_json: bool = JSON) -> None:
    """MLflow's experiments."""
    with connected() as lake:
        found = lake.call("POST", f"{_API}/experiments/search", {"max_results": 200})
        show(found.get("experiments", []), ["experiment_id", "name", "lifecycle_stage"], as_json)


@experiments.command("runs")
def runs(
    experiment: str = typer.Argument("0", help="an experiment, by its number or its name"),
    where: str = typer.Option("", "--filter", help="as MLflow writes it: \"metrics.auc > 0.7 and params.depth = '4'\""),
    sort: list[str] = typer.Option([], "--sort", help="metrics.auc, params.depth or start_time; -metrics.auc from the greatest"),
    limit: int = typer.Option(20, "--limit", min=1, max=10_000, help="at most so many"),
    as_json: bool = JSON,
) -> None:
    """MLflow's runs of an experiment with their metrics, newest first unless sorted."""
    with connected() as lake:
        body: dict[str, Any] = {"experiment_ids": [_number(lake, experiment)], "filter": where, "max_results": limit,
                                "order_by": [_order(one) for one in sort]}  # fmt: skip
        found = lake.call("POST", f"{_API}/runs/search", body).get("runs", [])
    rows = [
        {"run_id": r["info"]["run_id"], "name": r["info"].get("run_name"), "status": r["info"]["status"],
         "metrics": _pairs(r, "metrics"), "params": _pairs(r, "params"), "start_time": r["info"].get("start_time")}
        for r in found
    ]  # fmt: skip
    show(rows, ["run_id", "name", "status", "metrics"], as_json, empty="no runs")


@experiments.command("compare")
def compare(
    run: list[str] = typer.Argument(metavar="RUN RUN…", help="two runs or more, by their ids"),
    everything: bool = typer.Option(False, "--all", help="what is equal in all of them as well"),
    plot: Path = typer.Option(None, "--plot", help="draw the metrics into this file, .svg or .png"),
    as_json: bool = JSON,
) -> None:
    """Parameters, metrics and records of runs side by side: what differs between them."""
    if len(run) < 2 or len(set(run)) < len(run):
        raise InvalidInput("name two different runs or more; `boathouse experiments runs` lists them")
    if plot is not None and plot.suffix not in _PICTURES:
        raise InvalidInput(f"{plot} is no picture: its name must end with {' or '.join(_PICTURES)}")
    with connected() as lake:
        found = [lake.http.call("GET", f"{_API}/runs/get", params={"run_id": one})["run"] for one in run]
    rows = side_by_side(found)
    if plot is not None:
        draw(run, [r for r in rows if r["kind"] == "metric"], plot)
        say(f"the metrics of {len(run)} runs are in {plot}")
    if as_json:
        told = [{"run_id": r["info"]["run_id"], "name": r["info"].get("run_name"), "status": r["info"]["status"]} for r in found]
        dump({"runs": told, "rows": rows})
        return
    names = _titles(found)
    shown = [{"what": r["kind"], "name": r["name"], **dict(zip(names, r["values"], strict=True))}
             for r in rows if r["differs"] or everything]  # fmt: skip
    show(shown, ["what", "name", *names], False, empty="these runs differ in nothing that was logged")


def side_by_side(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each parameter, metric and part of the record, with its `values` by run, null where a run has none, and if it `differs`."""
    rows: list[dict[str, Any]] = []
    for kind, part, prefix in (("parameter", "params", ""), ("metric", "metrics", ""), ("record", "tags", _RECORD)):
        each = [{k: v for k, v in _pairs(one, part).items() if k.startswith(prefix)} for one in found]
        for name in dict.fromkeys(key for one in each for key in sorted(one)):
            values = [one.get(name) for one in each]
            rows.append({"kind": kind, "name": name.removeprefix(prefix), "values": values,
                         "differs": any(value != values[0] for value in values)})  # fmt: skip
    return rows


def draw(runs: Sequence[str], metrics: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A small chart of bars for each metric, a bar for each run."""
    import altair as alt

    values = [{"metric": row["name"], "run": run[:8], "value": value}
              for row in metrics for run, value in zip(runs, row["values"], strict=True) if value is not None]  # fmt: skip
    if not values:
        raise InvalidInput("these runs have no metrics to draw")
    x = alt.X("run:N", sort=[run[:8] for run in runs], title=None)
    bars = alt.Chart(alt.Data(values=values)).mark_bar().encode(x=x, y=alt.Y("value:Q", title=None), color=alt.Color("run:N"))
    chart = bars.properties(width=40 * len(runs), height=140).facet(alt.Facet("metric:N", title=None), columns=4)
    chart.resolve_scale(y="independent").save(str(path))


def _number(lake: "Connection", experiment: str) -> str:
    if experiment.isdigit():
        return experiment
    params = {"experiment_name": experiment}
    return str(lake.http.call("GET", f"{_API}/experiments/get-by-name", params=params)["experiment"]["experiment_id"])


def _order(sort: str) -> str:
    column = sort.removeprefix("-")
    column = column if column.startswith(_ORDERED) else f"attributes.{column}"
    kind, _, name = column.partition(".")
    return f"{kind}.`{name}` {'DESC' if sort.startswith('-') else 'ASC'}"


def _pairs(run: Mapping[str, Any], part: str) -> dict[str, Any]:
    return {one["key"]: one["value"] for one in run["data"].get(part, [])}


def _titles(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the runs, by which they are told apart."""
    names = [str(run["info"].get("run_name") or run["info"]["run_id"][:8]) for run in found]
    twice = {name for name in names if names.count(name) > 1}
    return [f"{name} {run['info']['run_id'][:8]}" if name in twice else name for name, run in zip(names, found, strict=True)]
