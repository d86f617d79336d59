"""Models, features and scoring."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from boathouse.cli import experiments, online, told_models
from boathouse.cli.endpoints import told_rollout
from boathouse.cli.output import JSON, dump, facts, say, show
from boathouse.cli.session import connected, lakehouse

CHAMPION, TOLERANCE = "champion", 1e-6
models = typer.Typer(help="Registered models: versions, verdicts, promotion, rollback.", no_args_is_help=True)
features = typer.Typer(help="Feature tables: list, show, publish online.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    online.register(features)
    told_models.register(models)
    for group, name in ((features, "features"), (experiments.experiments, "experiments"), (models, "models")):
        app.add_typer(group, name=name)
    app.command()(score)


@models.command("list")
def list_models(
    search: str = typer.Option("", "--search", help="a part of the name or the description, in any case"),
    tag: list[str] = typer.Option([], "--tag", help="KEY or KEY=VALUE that it is tagged with; may be repeated"),
    everywhere: bool = typer.Option(False, "--all", help="of all environments"),
    as_json: bool = JSON,
) -> None:
    """Models you may see, with their Production version."""
    with connected() as lake:
        where = None if everywhere else lake.environment
        rows = lake.models.all(environment=where, search=search, tags=tag)
        asked = "no model that you may see is called, described or tagged so"
        none = f"{where or 'there'} has no models; a training job registers them" if where else "no models"
        show(rows, ["name", "production", "latest_version", "aliases", "description"], as_json,
             empty=asked if search or tag else none)  # fmt: skip


@models.command("show")
def show_model(
    name: str, version: str = typer.Option("", "--version", help="one version, by number, stage or alias"), as_json: bool = JSON
) -> None:
    """Versions of a model with their stages and what their tests found; of one version every check with its reason."""
    with connected() as lake:
        found = lake.models.version(name, version) if version else lake.models.get(name)
    if as_json:
        dump(found)
    elif version:
        verdict = found["verdict"] or {}
        came = [f"{o['model']} version {o['version']}, by {o['principal']} at {o['at']}" for o in found["copied_from"]]
        told = {"model": found["model"], "version": found["version"], "stage": found["stage"], "tests": _tests(found)}
        told |= {key: found[key] for key in ("description", "tags") if found[key]} | {"made_by": found["creator"]}
        told |= {"testing": f"run {found['testing']}"} if found["testing"] else {}
        by = {"by": verdict.get("by"), "report": verdict.get("url"), "run": verdict.get("run_id")}
        told |= {"copied_from": came} if came else {}
        facts(told | {k: v for k, v in by.items() if v}, False)
        show(verdict.get("checks") or [], ["outcome", "name", "reason"], False, empty=_untested(name, found))
    else:
        for one in found["versions"]:
            verdict = one["verdict"] or {}
            one["tests"] = _tests(one)
            one["why"] = _why(verdict) if verdict else ""
        told = {key: found[key] for key in ("description", "owner", "tags") if found[key]}
        told |= {"rollout": told_rollout(found["rollout"])} if found["rollout"] else {}
        facts({"model": found["name"], "production": found["production"], "aliases": found["aliases"], **told}, False)
        show(found["versions"], ["version", "stage", "tests", "why", "created_at"], False)
        if said := found["comments"]:
            show(said, ["at", "version", "principal", "text"], False)


@models.command("history")
def history(name: str, as_json: bool = JSON) -> None:
    """Who moved which version to which stage, when and why, and every verdict between."""
    with connected() as lake:
        found = lake.models.get(name)
    verdicts = [
        {"at": v["at"], "version": v["version"], "from_stage": None, "to_stage": None, "action": f"verdict: {v['outcome']}",
         "principal": v["by"] or (f"run {v['run_id']}" if v["run_id"] else None), "reason": _why(v)}
        for v in found["verdicts"]
    ]  # fmt: skip
    # Of one moment, the verdict comes before the move that it brought.
    rows = sorted([*verdicts, *found["history"]], key=lambda row: str(row["at"]))
    show(rows, ["at", "version", "from_stage", "to_stage", "action", "principal", "reason"], as_json)


def _tests(version: Mapping[str, Any]) -> str | None:
    return "running" if version.get("testing") else (version["verdict"] or {}).get("outcome")


def _untested(name: str, version: Mapping[str, Any]) -> str:
    if version.get("testing"):
        return f"its tests run now; `boathouse runs logs {version['testing']} --follow` shows them"
    number = version["version"]
    return f"{name} version {number} was not tested yet; `boathouse models test {name} {number}` tests it here"


def _why(verdict: Mapping[str, Any]) -> str:
    if verdict["outcome"] != "pass":
        return "; ".join(verdict["reasons"] or ())
    count = len(verdict["reasons"] or ())
    counted = f"passed {count} check{'' if count == 1 else 's'}"
    return f"{counted}; {verdict['waits']}" if verdict.get("waits") else counted


@models.command("compare")
def compare(name: str, version: str, as_json: bool = JSON) -> None:
    """A version's metrics beside those of the champion it was tested against: all rows, by slice, and over replayed traffic."""
    with connected() as lake:
        verdict = lake.models.version(name, version)["verdict"] or {}
    evidence = verdict.get("evidence") or {}
    rows = [*_compared("", evidence), *_compared("replayed ", evidence.get("replay") or {})]
    for key, metrics in (evidence.get("slices") or {}).items():
        rows += [{"metric": m, "where": key, "candidate": pair[0], "champion": pair[1]} for m, pair in metrics.items()]
    for key, metrics in (evidence.get("fairness") or {}).items():
        rows += [{"metric": m, "where": key, "candidate": value} for m, value in metrics.items()]
    columns = ["metric", "where", "candidate", "champion", "difference", "low", "high"]
    rows = [{column: row.get(column) for column in columns} for row in rows]
    show(rows, columns, as_json, empty=f"{name} version {version} was not measured")


def _compared(prefix: str, measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    champion, spread = measured.get("champion") or {}, measured.get("differences") or {}
    return [
        {"metric": prefix + m, "candidate": value, "champion": champion.get(m),
         **dict(zip(("difference", "low", "high"), spread.get(m) or (), strict=False))}
        for m, value in (measured.get("candidate") or {}).items()
    ]  # fmt: skip


@models.command("test")
def test(name: str, version: int) -> None:
    """Move a version to Staging and test it again."""
    with connected() as lake:
        run_id = lake.call("POST", f"/api/v1/models/{lake.complete(name)}/versions/{version}/test")["run_id"]
        for _, line in lake.jobs.follow(run_id):
            print(line)


@models.command("promote")
def promote(name: str, version: str, reason: str = "by hand") -> None:
    """Make a version Production; it must have passed its tests."""
    with connected() as lake:
        say(_moved(lake.complete(name), version, lake.models.promote(name, version, reason)["rollout"], "is Production"))


@models.command("approve")
def approve(name: str, version: str, reason: str = "") -> None:
    """Approve a version that waits for it."""
    with connected() as lake:
        done = lake.models.approve(name, version, reason)
        say(_moved(lake.complete(name), version, done["rollout"], "is approved and Production"))


def _moved(name: str, version: str, rollout: Mapping[str, Any] | None, otherwise: str) -> str:
    if rollout is None:
        return f"{name} version {version} {otherwise}"
    share = f"{rollout['percent']:g} % of the requests" if rollout["mode"] == "canary" else "a place in the champion's shadow"
    how = f"{share} beside version {rollout['champion']} for {rollout['seconds']:g} s, then it is Production"
    return f"{name} version {version} is rolled out: {how}. `boathouse models show {name}` tells how it does"


@models.command("reject")
def reject(name: str, version: str, reason: str = "") -> None:
    """Refuse a version that waits."""
    with connected() as lake:
        lake.models.reject(name, version, reason)
        say(f"{lake.complete(name)} version {version} is refused")


@models.command("rollback")
def rollback(name: str, reason: str = "rolled back by hand") -> None:
    """Make the former Production version Production again; serving follows. A rollout that goes on is ended instead."""
    with connected() as lake:
        done = lake.models.rollback(name, reason)
        say(f"{lake.complete(name)} version {done['version']} is Production")


@models.command("copy")
def copy(
    source: str = typer.Argument(metavar="NAME/VERSION", help="a number, a stage or an alias"),
    to: str = typer.Option(..., "--to", help="an environment, or a full name: environment.schema.model"),
    as_json: bool = JSON,
) -> None:
    """Copy a version to another environment or model, with its files; the tests of its new place run again."""
    name, _, version = source.partition("/")
    if not version:
        raise typer.BadParameter(f"say which version: {name}/3, {name}/production or {name}/champion")
    with connected() as lake:
        made = lake.models.copy(name, version, to)
    if as_json:
        dump(made)
        return
    say(f"{made['model']} version {made['version']} is a copy of {made['copied_from']['model']} "
        f"version {made['copied_from']['version']}")  # fmt: skip
    next_step = {
        "manual": "`boathouse models test` tests it",
        "external": "a system outside is asked to test it",
        None: "no deployed bundle there says how to test it; `boathouse models promote` makes it Production",
    }
    say(next_step.get(made["delivery"], "its tests run; `boathouse models show` tells what they found"))


@models.command("delete")
def delete(
    name: str,
    version: int = typer.Option(None, "--version", help="one version only; the others stay"),
    force: bool = typer.Option(False, "--force", help="even while an endpoint or a monitor uses it"),
) -> None:
    """Delete a model, or one version. What is Production stays; what is in use is refused, naming its users."""
    with connected() as lake:
        lake.models.delete(name, version, force=force)
        say(f"deleted {lake.complete(name)}" + (f" version {version}" if version is not None else ""))


@models.command("reproduce")
def reproduce(
    name: str = typer.Argument(metavar="NAME[/VERSION]"),
    version: str = typer.Argument("", help="a number, a stage or an alias; champion without one"),
    target: str = typer.Option("", "-t", "--target", help="the environment: dev, staging or prod"),
    tolerance: float = typer.Option(TOLERANCE, "--tolerance", help="how far numbers may be apart, relative to their size"),
    as_json: bool = JSON,
) -> None:
    """Make a version again from its record, and compare: its code, lock, data, seed. Exits 1 where the two are different."""
    name, _, given = name.partition("/")
    with connected(target or None) as lake:
        if not as_json:
            say(f"making {lake.complete(name)} version {version or given or CHAMPION} again; this takes as long as training did")
        report = lake.models.reproduce(name, version or given or CHAMPION, tolerance)
    if as_json:
        dump(report)
    else:
        _tell(report)
    if report["verdict"] == "different":
        raise typer.Exit(1)


def _tell(report: dict[str, Any]) -> None:
    found = report["comparison"] or {"metrics": {}, "parameters": {}, "rows": 0, "largest": None, "surroundings": ()}
    rows = [{"what": k, "recorded": a, "again": b} for k, (a, b) in found["metrics"].items()]
    rows += [{"what": k, "recorded": a, "again": b} for k, (a, b) in found["parameters"].items() if a != b]
    nothing = "its run logged no metrics: predictions alone were compared" if found["rows"] else "nothing was compared"
    show(rows, ["what", "recorded", "again"], False, empty=nothing)
    apart = f"{found['largest']} apart at most" if found["largest"] is not None else "not compared"
    facts({"verdict": report["verdict"], "cause": report["cause"], "predictions": f"{found['rows']} rows, {apart}",
           "surroundings": list(found["surroundings"])}, False)  # fmt: skip


@features.command("specs")
def list_specs(as_json: bool = JSON) -> None:
    """Registered feature specs: what `create_feature_spec` made."""
    with connected() as lake:
        rows = lake.http.call("GET", "/api/v1/feature-specs", params={"environment": lake.environment})
        show(rows, ["name", "owner", "created_at"], as_json, empty="no feature specs")


def score(
    model_uri: str = typer.Argument(help="models:/schema.model@champion, or models:/schema.model/4"),
    source: Path = typer.Argument(metavar="INPUT", help="a .csv, .json, .jsonl or .parquet file"),
    output: Path = typer.Argument(metavar="OUTPUT", help="the file to write, by its ending"),
) -> None:
    """Score a file in batch: features are looked up as of each row's time."""
    from boathouse.client.files import read_file, write_rows
    from boathouse.feature_engineering import FeatureEngineeringClient

    with lakehouse() as lake:
        scored = FeatureEngineeringClient(context=lake).score_batch(model_uri=model_uri, df=read_file(source))
        with output.open("wb") as out:
            count = write_rows(scored, output.suffix.lstrip("."), out)
        say(f"{count} rows scored with {model_uri} are in {output}")
