"""The platform's own tasks. They run like users' tasks: in a process of their own, under the environment's identity."""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from boathouse.client.lake import Lake
from boathouse.client.no_network import refuse_network
from boathouse.environments import ALONE
from boathouse.errors import NotPermitted, RunFailed


def deliver(lake: Lake, model: str, version: str) -> None:
    """Test a version and let delivery decide."""
    from boathouse.delivery import Verdict, gather
    from boathouse.monitoring import pending

    path = f"/api/v1/models/{model}/versions/{version}"
    task = lake.call("GET", f"{path}/test")
    unread = pending(lake, f"{model}_inference") if task.get("replay") else None
    evidence = gather(lake, model, int(version), task, unread)
    verdict = Verdict.from_dict(lake.call("POST", f"{path}/evidence", evidence.to_dict()))
    print(f"{model} version {version}: {verdict.outcome}")
    for check in verdict.checks:
        print(f"  {check.outcome:<4}  {check.name}: {check.reason}")


def compare_versions(lake: Lake, model: str, version: str, again: str, evaluation: str) -> None:
    """Compare a version with what was made again from its record."""
    from boathouse.delivery import compare_versions

    made = lake.models.get(again)["versions"][0]["version"]
    found = compare_versions(lake, f"models:/{model}/{version}", f"models:/{again}/{made}", json.loads(evaluation))
    kept = {"task": os.environ["BOATHOUSE_TASK"], "key": "comparison", "value": found.to_dict()}
    lake.call("POST", f"/api/v1/runs/{os.environ['BOATHOUSE_RUN_ID']}/results", kept)
    print(f"{model} version {version}, made again: {found.likeness()}")


def refresh_monitor(lake: Lake, name: str, as_of: str = "") -> None:
    """Bring a monitor's tables up to date and judge its alerts."""
    from boathouse.alerts import judge
    from boathouse.monitoring import refresh

    definition = lake.monitor(name)
    report = refresh(lake, definition["monitor"], as_of or None)
    print(f"monitor {name}: {report}")
    for alert in definition["alerts"]:
        verdict = judge(lake, definition["monitor"], alert["name"], alert["definition"])
        lake.call("POST", f"/api/v1/alerts/{lake.environment}/{alert['name']}/verdicts", verdict)
        print(f"alert {alert['name']}: {verdict['state']}: {verdict['reason']}")


def materialize_features(lake: Lake, table: str, *more: str) -> None:
    """Bring a table of declared features to its source's newest rows, and an online store to the table with `publish`.

    `publish=STORE` names another store than the default one.
    `from=TABLE` names what whoever made the job may read: features of another source are refused, with NotPermitted.
    """
    from boathouse.feature_engineering import FeatureEngineeringClient, refresh_table, sources_of

    allowed = {word.removeprefix("from=") for word in more if word.startswith("from=")}
    if allowed and (others := set(sources_of(lake.table_info(table), lake.environment)) - allowed):
        raise NotPermitted(f"{table} is computed from {min(others)} now, which its job was not made for: "
                           "call materialize_features with its trigger again")  # fmt: skip
    done = refresh_table(lake, table)
    print(f"{done.table}: {done.rows} rows at version {done.source_version} of its source ({done.kind})")
    for word in more:
        publish, _, store = word.partition("=")
        if publish == "publish":
            FeatureEngineeringClient(context=lake).publish_table(source_table_name=table, online_store=store or None)


def publish_features(lake: Lake, table: str, wish: str) -> None:
    """Publish a table for somebody who is on another machine."""
    from boathouse.feature_engineering import FeatureEngineeringClient, PublishedTable

    asked = json.loads(wish)
    done = FeatureEngineeringClient(context=lake).publish_table(
        source_table_name=table, online_table_name=asked["name"], features=asked["features"], online_store=asked["store"],
        filter_condition=asked["condition"], publish_mode=asked["mode"],
        ttl=timedelta(seconds=asked["ttl_seconds"]) if asked["ttl_seconds"] else None,
    )  # fmt: skip
    assert isinstance(done, PublishedTable)  # no mode that goes on is taken
    kept = {"task": os.environ["BOATHOUSE_TASK"], "key": "published", "value": done.__dict__}
    lake.call("POST", f"/api/v1/runs/{os.environ['BOATHOUSE_RUN_ID']}/results", kept)
    print(f"{done.rows} keys of {done.online_table_name} version {done.version} are online")


def integration_tests(lake: Lake, path: str) -> None:
    """The project's integration tests, against this run's throw-away schemas. The run keeps their report, as JUnit XML."""
    run, task = os.environ["BOATHOUSE_RUN_ID"], os.environ["BOATHOUSE_TASK"]
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "junit.xml")
        try:
            _pytest(path, report)
        finally:
            if report.exists():
                kept = {"task": task, "key": "junit", "value": report.read_text()}
                lake.call("POST", f"/api/v1/runs/{run}/results", kept)


def unit_tests(path: str, junit: Path | None = None, *, network: bool = False) -> None:
    """The project's unit tests: no token, no address, no data and, unless it says so, no network. The report goes to `junit`."""
    alone = ALONE in os.environ
    for name in [n for n in os.environ if n.startswith("BOATHOUSE_")]:
        if name == "BOATHOUSE_TOKEN_FD":
            os.close(int(os.environ[name]))
        del os.environ[name]
    if not network:
        refuse_network(loopback=alone)
    with tempfile.TemporaryDirectory(prefix="boathouse-home-") as nobodys:
        os.environ["BOATHOUSE_HOME"] = nobodys
        _pytest(path, junit)


def _pytest(path: str, junit: Path | None) -> None:
    try:
        import pytest
    except ModuleNotFoundError as error:
        raise RunFailed("tests need pytest: run `pip install pytest`") from error
    if not Path(path).exists():
        raise RunFailed(f"there is no {path}: put a test there, or name another folder under `tests` in boathouse.yml")
    sys.path.insert(0, os.getcwd())
    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plugins of what this process imported already
    report = [f"--junit-xml={junit}"] if junit else []
    code = pytest.main(["-q", "-p", "no:cacheprovider", *quiet, *report, "--rootdir", os.getcwd(), path])
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise RunFailed(f"{path} holds no tests: put one there, or name another folder under `tests` in boathouse.yml")
    if code != 0:
        raise RunFailed(f"tests in {path} did not pass (pytest exit code {int(code)})")


BUILTINS: dict[str, Callable[..., Any]] = {
    "compare-versions": compare_versions,
    "deliver": deliver, "refresh-monitor": refresh_monitor,
    "materialize-features": materialize_features, "publish-features": publish_features, "integration-tests": integration_tests,
}  # fmt: skip
"""Run with a connection; `unit-tests` runs without one."""
