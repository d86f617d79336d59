"""Finding features, and reports on them: leaks and skew."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from boathouse.cli.expectations import print_expectations
from boathouse.cli.models import features
from boathouse.cli.output import JSON, dump, facts, pairs, say, show
from boathouse.cli.session import lakehouse
from boathouse.errors import Conflict

if TYPE_CHECKING:
    from boathouse.client import Lake
    from boathouse.features import LeakReport, SkewReport

_FILES = {".csv", ".json", ".jsonl", ".ndjson", ".parquet"}


def register(_: typer.Typer) -> None:
    """Add this room's commands to `features`."""
    features.command("list")(list_features)
    features.command("show")(show_features)
    features.command("leaks")(leaks)
    features.command("skew")(skew)


def list_features(
    search: str = typer.Option("", "--search", help="words of name, features, comments, tags or description"),
    tag: list[str] = typer.Option([], "--tag", help="NAME=VALUE; may be repeated"),
    owner: str | None = typer.Option(None, "--owner", help="tables of this owner"),
    as_json: bool = JSON,
) -> None:
    """Feature tables: tables with primary keys. For example `boathouse features list --search "wind" --tag team=ops`."""
    from boathouse.feature_engineering import discovery

    with lakehouse() as lake:
        tables = discovery.matching(lake.tables(), search, pairs(tag, "tag"), owner)
        rows = [{**t.to_dict(), "freshness": discovery.freshness_told(lake, t)} for t in tables]
        shown = ["name", "primary_keys", "event_time", "known_time", "freshness.newest_event", "freshness.state",
                 "owner", "description"]  # fmt: skip
        show(rows, shown, as_json, empty="no feature tables")


def show_features(name: str = typer.Argument(help="TABLE or TABLE.COLUMN"), as_json: bool = JSON) -> None:
    """A feature table or one feature: what it means, what it is made from, who uses it, how fresh it is."""
    from boathouse.feature_engineering import discovery

    with lakehouse() as lake:
        info, column = discovery.located(lake, name)
        found = {**info.to_dict(), "column": column, "uses": discovery.uses(lake, info, column),
                 "freshness": discovery.freshness(lake, info)}  # fmt: skip
    if as_json:
        dump(found)
        return
    told = ("name", "description", "primary_keys", "event_time", "known_time", "owner", "tags")
    facts({**{k: found[k] for k in told}, "tags": info.own_tags, **found["freshness"], **found["uses"]}, False)
    show([c for c in found["columns"] if column in (None, c["name"])], ["name", "type", "comment"], False)
    print_expectations(info)


def leaks(
    name: str = typer.Argument(help="a feature spec (`features.trip`) or a model (`models:/flights.delay@champion`)"),
    spine: str = typer.Option(..., "--spine", help="keys, times and labels: a table, a SELECT, or a CSV, JSON or Parquet file"),
    time: str | None = typer.Option(None, "--time", help="the spine's column that commits are compared with, of several"),
    label: str | None = typer.Option(None, "--label", help="the spine's label column, for a spec"),
    retrain: bool = typer.Option(True, "--retrain/--no-retrain", help="train a model's estimator each way and compare"),
    fail_over: float | None = typer.Option(
        None, "--fail-over", help="exit 1 when a join by event time alone would change more percent of the rows"),
    fail_committed_after: float | None = typer.Option(
        None, "--fail-committed-after", help="exit 1 when more percent of the rows read values committed after their own time"),
    as_json: bool = JSON,
) -> None:
    """What naive joins would have leaked into a training set, from which table, and what it does to the metric.

    For example `boathouse features leaks models:/flights.delay@champion --spine "select * from features.labelled"`.
    """
    from boathouse.feature_engineering import FeatureEngineeringClient

    is_model = name.startswith("models:/")
    with lakehouse() as lake:
        found = FeatureEngineeringClient(context=lake).leaks(
            df=rows_of(lake, spine), feature_spec=None if is_model else name, model_uri=name if is_model else None,
            label=label, time=time, retrain=retrain,
        )  # fmt: skip
    if as_json:
        dump(found.to_dict())
    else:
        _print_leaks(found)
    if broken := list(_exceeded(found, fail_over, fail_committed_after)):
        raise Conflict("; ".join(broken))


def _exceeded(found: "LeakReport", naive: float | None, committed: float | None) -> Iterator[str]:
    if naive is not None and found.percent > naive:
        yield (f"{found.percent:.2f} % of the rows would have other features in a join by event time alone, more than the "
               f"{naive:g} % that --fail-over allows")  # fmt: skip
    if committed is not None and found.committed_after_percent > committed:
        yield (f"{found.committed_after_percent:.2f} % of the rows read values committed after their own time, more than the "
               f"{committed:g} % that --fail-committed-after allows")  # fmt: skip


def skew(
    table: str = typer.Argument("", help="a published feature table"),
    model: str = typer.Option("", "--model", help="instead: what this model's endpoints served, from the log"),
    sample: int | None = typer.Option(None, "--sample", min=1, help="so many keys of the table instead of all"),
    requests: int = typer.Option(10_000, "--requests", min=1, help="so many of the newest logged requests"),
    fail_over: float | None = typer.Option(None, "--fail-over", help="exit 1 when more percent of the values mismatch"),
    as_json: bool = JSON,
) -> None:
    """Where online values are others than the lakehouse's, counted by feature and reason.

    For example `boathouse features skew features.weather`, or `boathouse features skew --model flights.delay`.
    """
    from boathouse.feature_engineering import FeatureEngineeringClient

    with lakehouse() as lake:
        found = FeatureEngineeringClient(context=lake).skew(table or None, model=model or None, sample=sample, requests=requests)
    if as_json:
        dump(found.to_dict())
    else:
        _print_skew(found)
    if fail_over is not None and found.percent > fail_over:
        raise Conflict(f"{found.percent:.2f} % of the values mismatch, more than the {fail_over:g} % that --fail-over allows")


def rows_of(lake: "Lake", given: str) -> Any:
    """Rows of a file, a query or a table, as a word on the command line names them."""
    from boathouse.client.files import read_file

    if Path(given).suffix.lower() in _FILES:
        return read_file(Path(given))
    if " " in given.strip():
        return lake.sql(given)
    return lake.table(given).read()


def _print_leaks(found: "LeakReport") -> None:
    say(f"{found.rows:,} rows, each compared at its {found.time}")
    say(f"  {_share(found.naive_rows, found.rows)} other features when joined by event time alone (known times ignored)")
    say(f"  {_share(found.timeless_rows, found.rows)} other features when joined without time (each key's newest row)")
    say(f"  {_share(found.committed_after_rows, found.rows)} features that were committed after the row's own time\n")
    tables = [{"table": t.table, "version": t.version, "known time": t.known_time or "not declared", "naive": t.naive_rows,
               "timeless": t.timeless_rows, "committed after": t.committed_after_rows} for t in found.tables]  # fmt: skip
    show(tables, ["table", "version", "known time", "naive", "timeless", "committed after"], False)
    changed = [vars(f) for f in found.features if f.naive_rows or f.timeless_rows]
    show(changed, ["feature", "table", "naive_rows", "timeless_rows"], False, empty="no feature would have changed")
    if found.retrained:
        say(f"trained on the earlier {found.train_rows:,} rows, tested on the later {found.test_rows:,}; `claimed` is what a "
            "test on the same kind of join says, `honest` what production would see")  # fmt: skip
        trained = [{"trained on": r.reading, "metric": r.metric, "claimed": r.claimed, "honest": r.honest,
                    "claimed too much": r.claimed - r.honest} for r in found.retrained]  # fmt: skip
        show(trained, ["trained on", "metric", "claimed", "honest", "claimed too much"], False)
    for line in [*(f"{t.table}: {t.note}" for t in found.tables if t.note), *([found.note] if found.note else []),
                 *found.advice()]:  # fmt: skip
        say(f"- {line}")


def _print_skew(found: "SkewReport") -> None:
    say(f"{found.of}: {found.rows:,} rows compared, {found.percent:.2f} % of the values mismatch")
    if found.online_version is not None:
        say(f"online is version {found.online_version}, the table is at {found.table_version}; "
            f"{found.only_lakehouse:,} keys are not online, {found.only_online:,} are online alone")  # fmt: skip
    rows = [{"feature": f.feature, "from": f.table, "values": f.values, "mismatches": f.mismatched,
             **f.mismatches} for f in found.features]  # fmt: skip
    reasons = list(found.features[0].mismatches) if found.features else []
    show(rows, ["feature", "from", "values", "mismatches", *reasons], False, empty="nothing was compared")
    for note in found.notes:
        say(f"- {note}")


def _share(count: int, rows: int) -> str:
    return f"{count:>9,} ({100 * count / rows if rows else 0:6.2f} %)"
