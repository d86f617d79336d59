"""Monitors that are made by hand or refresh by the clock, results in another schema, and alerts that are tried."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from boathouse.client import Lake
from boathouse.errors import InvalidInput, NotFound, NotPermitted
from boathouse.identity import Identity
from boathouse.monitoring import join_labels
from boathouse.platform import Platform

pytestmark = pytest.mark.xdist_group("jobs")
BUNDLE = """
bundle: {name: watch}
targets: {dev: {default: true, environment: dev}}
resources:
  quality_monitors:
    sales:
      table_name: shop.sales
      time_series: {timestamp_col: at, granularities: ["1 day"]}
      output_schema_name: dev.watched
  alerts:
    few: {monitor: sales, condition: "count < 300", windows: 2, run_job: look}
    small: {monitor: sales, condition: "max < 300", column: amount, windows: 2}
  jobs:
    look: {tasks: [{task_key: look, sql_task: {query: "select 1"}}]}
"""
COUNTS = (200, 250, 400, 210, 220)


@pytest.fixture(scope="module")
def shop(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Sales of five days, few on all but the third, under a monitor that was refreshed."""
    days = f"(SELECT unnest({[*COUNTS]}) n, unnest({[*range(5)]}) d)"
    at = "timestamptz '2024-05-01 00:00:00+00' + to_days(d::int) + to_seconds(i::int)"
    lake.sql(f"create table shop.sales as select {at} AS at, i AS amount FROM {days} days, range(n) r(i)")
    folder = tmp_path_factory.mktemp("watch")
    (folder / "boathouse.yml").write_text(BUNDLE)
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(folder)})
    run = lake.http.call("POST", "/api/v1/monitors/dev/sales/refreshes")["run_id"]
    assert lake.jobs.wait(run, 90)["state"] == "SUCCESS", lake.jobs.log(run, "refresh-monitor")
    lake.settle()
    return lake


def test_results_lie_in_the_schema_that_was_asked_for(shop: Lake) -> None:
    names = {t["name"] for t in shop.call("GET", "/api/v1/tables")}
    assert {"dev.watched.sales_profile_metrics", "dev.watched.sales_drift_metrics"} <= names
    assert "dev.shop.sales_profile_metrics" not in names
    told = shop.call("GET", "/api/v1/alerts")[0]
    assert (told["state"], "in 2 consecutive days" in told["reason"]) == ("firing", True)


def test_an_alert_is_tried_window_by_window_and_nothing_happens(shop: Lake, command: Callable[..., tuple[int, str]]) -> None:
    before = shop.call("GET", "/api/v1/incidents"), len(shop.call("GET", "/api/v1/runs"))
    code, said = command("alerts", "test", "few", "--json")
    found = json.loads(said)
    assert (code, found["state"], found["granularity"]) == (0, "firing", "1 day")
    assert [w["values"]["count"] for w in found["windows"]] == [*map(float, COUNTS)]
    assert [w["happens"] for w in found["windows"]] == ["", "opens", "closes", "", "opens"]
    assert found["would"] == f"do nothing: incident {found['open_incident']} is open already"
    assert "closes" in command("alerts", "test", "few")[1]
    assert before == (shop.call("GET", "/api/v1/incidents"), len(shop.call("GET", "/api/v1/runs")))


def test_an_alert_may_be_over_one_column(shop: Lake, command: Callable[..., tuple[int, str]]) -> None:
    told = next(a for a in shop.call("GET", "/api/v1/alerts") if a["name"] == "small")
    assert (told["state"], "max 219 < 300 in 2 consecutive days" in told["reason"]) == ("firing", True)
    found = json.loads(command("alerts", "test", "small", "--json")[1])
    assert [w["values"]["max"] for w in found["windows"]] == [count - 1.0 for count in COUNTS]


def test_what_is_not_there_is_said_so_and_a_monitor_shows_its_own_windows(
    shop: Lake, command: Callable[..., tuple[int, str]]
) -> None:
    assert [r["count"] for r in json.loads(command("monitors", "show", "sales", "--json")[1])] == [*COUNTS]
    code, said = command("monitors", "show", "sales", "--granularity", "1 week")
    assert (code, "it has 1 day" in said) == (1, True)
    code, said = command("alerts", "show", "nobody", "--json")
    assert (code, "dev has no alert 'nobody'" in said) == (1, True)
    assert [i["alert"] for i in json.loads(command("alerts", "show", "few", "--json")[1])["incidents"]] == ["few"]


def test_a_label_that_is_corrected_replaces_the_one_of_before(shop: Lake) -> None:
    at = datetime(2024, 5, 1, tzinfo=UTC)
    keys = {"request_id": ["a", "b", "c"], "row": [0, 0, 0], "tx": [1, 2, 3]}
    empty = {"label": pa.nulls(3, pa.float64()), "label_time": pa.nulls(3, pa.timestamp("us", "UTC"))}
    watched = shop.create_table("shop.asked", pa.table({**keys, **empty}), primary_keys=["request_id", "row"])
    known = shop.create_table("shop.outcomes", {"tx": [1, 1, 2], "fraud": [1, 0, 0], "known": [at, at + timedelta(days=9), at]},
                              primary_keys=["tx"], known_time="known")  # fmt: skip
    labels = {"table": "shop.outcomes", "keys": ["tx"], "label": "fraud"}

    def joined(when: datetime | None = None) -> tuple[int, list[float | None]]:
        number = join_labels(shop, watched, labels, when)
        return number, [row["label"] for row in sorted(watched.read().to_dicts(), key=lambda row: row["tx"])]

    assert joined(at + timedelta(days=1)) == (2, [1.0, 0.0, None])
    assert joined() == (1, [0.0, 0.0, None])
    assert joined(at + timedelta(days=1)) == (0, [0.0, 0.0, None])
    known.append({"tx": [2], "fraud": [1], "known": [at + timedelta(days=20)]})
    assert joined() == (1, [0.0, 1.0, None])
    shop.create_table("shop.plain", {"tx": [1, 3], "fraud": [1, 0]}, primary_keys=["tx"])
    labels = {**labels, "table": "shop.plain"}
    assert joined() == (2, [1.0, 1.0, 0.0])
    assert joined() == (0, [1.0, 1.0, 0.0])
    for wrong, said in (({"keys": ["tx", "hour"]}, r"dev\.shop\.plain has no column 'hour' \(it has tx, fraud\)"),
                        ({"keys": ["fraud"]}, r"dev\.shop\.asked has no column 'fraud' .*a request may carry columns"),
                        ({"label": "lost"}, "has no column 'lost'")):  # fmt: skip
        with pytest.raises(InvalidInput, match=said):
            join_labels(shop, watched, {**labels, **wrong}, None)


def test_one_monitor_is_made_looked_at_and_deleted_by_commands(shop: Lake, command: Callable[..., tuple[int, str]]) -> None:
    made = "monitors", "create", "mine", "--table", "shop.sales", "--timestamp", "at", "--cron", "0 6 * * *"
    assert command(*made)[0] == 0
    code, said = command(*made)
    assert (code, "has a monitor 'mine'" in said) == (1, True)
    assert "0 6 * * *" in command("monitors", "list")[1]
    rows = json.loads(command("monitors", "show", "sales", "--granularity", "1 day", "--json")[1])
    assert [r["count"] for r in rows] == [*COUNTS]
    code, said = command("monitors", "delete", "sales")
    assert (code, "belongs to the project 'watch'" in said) == (1, True)
    assert command("monitors", "delete", "mine")[0] == 0
    assert command("monitors", "refresh", "mine")[0] == 1


def test_who_makes_a_monitor_must_read_what_it_watches(platform: Platform) -> None:
    root = Identity(platform.operator, frozenset({"admins"}))
    watched = {"table_name": "raw.pay", "snapshot": {}}
    with pytest.raises(NotFound, match=r"no table dev\.raw\.pay to watch"):
        platform.monitors.create(root, "dev", "m", watched)
    with platform.sql.execute(root, "create table raw.pay as select 1 as id", "dev"):
        pass
    platform.access.grant("root", ["eve"], ["USE CATALOG", "DEPLOY"], "catalog", "dev")
    with pytest.raises(NotPermitted, match="eve lacks USE SCHEMA"):
        platform.monitors.create(Identity("eve"), "dev", "m", watched)
    timed = {"table_name": "raw.pay", "time_series": {"timestamp_col": "at", "granularities": ["1 day"]}}
    with pytest.raises(InvalidInput, match="has no column 'at'; it has id"):
        platform.monitors.create(root, "dev", "m", timed)
    with pytest.raises(InvalidInput, match="without subqueries"):
        platform.monitors.create(root, "dev", "m", {**watched, "slicing_exprs": ["(select max(id) from prod.raw.pay)"]})
    made = platform.monitors.create(root, "dev", "m", watched)["monitor"]
    assert made["profile_metrics_table_name"] == "raw.pay_profile_metrics"


def test_a_monitor_refreshes_when_it_is_due_once(platform: Platform, tmp_path: Path) -> None:
    root = Identity(platform.operator, frozenset({"admins"}))
    hourly = "schedule: {cron: '0 * * * *'}\n      output_schema_name"
    (tmp_path / "boathouse.yml").write_text(BUNDLE.replace("output_schema_name", hourly))
    platform.code.deploy(root, "dev", path=str(tmp_path))
    now = datetime(2024, 5, 1, 6, 59, tzinfo=UTC)
    for minutes in (0, 1, 1, 2):
        platform.starts.tick(now + timedelta(minutes=minutes))
    [run] = platform.runs.newest("dev")
    assert (run.job, run.trigger) == ("monitor-sales", "schedule")
    assert run.definition["tasks"][0]["builtin_task"]["parameters"] == ["sales"]


def test_a_mute_that_has_passed_is_shown_no_more(platform: Platform) -> None:
    platform.alerts.mute("dev", "few", timedelta(hours=1), "olga")
    assert platform.alerts.states("dev")["dev", "few"]["muted_until"] is not None
    platform.alerts.mute("dev", "few", timedelta(0), "olga")
    assert platform.alerts.states("dev")["dev", "few"]["muted_until"] is None
