"""From an IDE: an address and a token are enough, on a machine that sees nothing of the home, for all of the Python interface."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lightgbm_here import needs_lightgbm

from boathouse.client import Lake

HOUR = datetime(2013, 7, 1, tzinfo=UTC)
BUNDLE = """
bundle: {name: flights}
targets: {dev: {default: true, mode: development, environment: dev}}
resources:
  jobs:
    training: {parameters: [{name: depth, default: "1"}], tasks: [{task_key: say, spark_python_task: {python_file: say.py}}]}
"""
TABLES = '''
from datetime import timedelta

import boathouse

lake = boathouse.connect()

assert len(lake.sql("select origin, count(*) n from raw.flights group by 1").to_polars()) == 2
t = lake.table("features.weather")
df = t.read().to_polars().head(1)
assert t.read(version=3, columns=["origin", "temp"], where="temp > 40").to_polars().shape == (29, 2)
t.append(df.with_columns(df["time_hour"] + timedelta(days=1)))
t.overwrite(t.read().to_polars())
t.merge(df, on=["origin", "time_hour"])
t.delete("temp > 68")
assert t.history()[0]["operation"] == "DELETE"
assert t.changes(since=12).count()
schema_or_df = {"id": "bigint", "day": "date", "n": "double"}
lake.create_table("raw.events", schema_or_df, primary_keys=["id"], partition_by=["day"], constraints={"some": "n >= 0"})
assert lake.jobs.run("training", params={"depth": 3})["state"] == "SUCCESS"
assert lake.lineage("features.weather", "both")

from boathouse.feature_engineering import FeatureEngineeringClient, FeatureFunction, FeatureLookup

fe = FeatureEngineeringClient()
wind = t.read().select("origin, time_hour, temp / 10 AS wind").to_polars()
fe.create_table(name="features.wind", primary_keys=["origin", "time_hour"], timeseries_column="time_hour", df=wind,
                description="Wind by hour")
fe.write_table(name="features.wind", df=wind, mode="merge")
assert fe.publish_table(source_table_name="features.wind").rows == 2
volume = lake.volumes.create("raw.notes")
volume.put("example.py")
assert volume.get("example.py", "again.py").read_bytes() == open("example.py", "rb").read()
'''
MODELS = '''
import boathouse
import lightgbm
import mlflow

from boathouse.feature_engineering import FeatureEngineeringClient, FeatureFunction, FeatureLookup

lake = boathouse.connect()
fe = FeatureEngineeringClient()
lake.functions.execute("CREATE FUNCTION features.double(temp DOUBLE) RETURNS DOUBLE LANGUAGE PYTHON AS $$\\nreturn 2 * temp\\n$$")
spine = lake.sql("select origin, time_hour, late from raw.flights order by time_hour, origin").to_polars()
ts = fe.create_training_set(
    df=spine, label="late", exclude_columns=["origin", "time_hour"],
    feature_lookups=[
        FeatureLookup(table_name="features.weather", lookup_key="origin", timestamp_lookup_key="time_hour"),
        FeatureFunction(udf_name="features.double", input_bindings={"temp": "temp"}, output_name="twice"),
    ],
)
frame = ts.load_df().toPandas()
assert list(frame.columns) == ["late", "temp", "twice"], frame.columns
model = lightgbm.LGBMClassifier(n_estimators=5, min_child_samples=2, verbose=-1).fit(frame.drop(columns="late"), frame["late"])
with mlflow.start_run() as run:
    fe.log_model(model=model, artifact_path="model", flavor=mlflow.lightgbm, training_set=ts,
                 registered_model_name="flights.delay")
kept = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/record/source/example.py")
assert kept == open("example.py").read()
mlflow.MlflowClient().set_registered_model_alias("flights.delay", "champion", "1")
assert lake.models.get("flights.delay")["name"] == "dev.flights.delay"
assert len(fe.score_batch(model_uri="models:/flights.delay@champion", df=spine).to_polars()) == len(spine)
departures = lake.create_table("raw.departures", spine.drop("late"))
query = fe.score_stream(model_uri="models:/flights.delay@champion", df=departures.stream(), output_table="raw.scored",
                        checkpoint_location="checkpoint", trigger={"availableNow": True})
query.awaitTermination()
assert lake.table("raw.scored").read().count() == len(spine)
'''


PROJECT = """
bundle: {name: taxi}
targets: {dev: {default: true, environment: dev}, staging: {environment: staging}}
resources: {jobs: {fares: {tasks: [{task_key: say, spark_python_task: {python_file: jobs/say.py}}]}}}
"""
CODE = '''
import os
import subprocess

from boathouse.cli.app import main

def run(*words):
    try:
        main(list(words))
    except SystemExit as end:
        assert not end.code, (words, end.code)

def git(*words):
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    return subprocess.run(["git", *who, *words], check=True, capture_output=True, text=True).stdout.strip()

os.mkdir("clone")
os.chdir("clone")
run("sync", "--project", "taxi")
assert (git("branch", "--show-current"), git("status", "--porcelain")) == ("main", "")
os.chdir("ml/taxi")
open("jobs/say.py", "w").write("import os\\nprint('lies in', os.path.exists('boathouse.yml'))\\n")
run("run", "fares")
git("switch", "-qc", "better")
git("commit", "-qam", "Better")
run("requests", "open", "--detach")
'''


@pytest.fixture(scope="module")
def elsewhere(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Runs a script as on another machine; what it said on its way to an error."""
    weather = {"origin": ["JFK", "LGA"] * 20, "time_hour": [HOUR + n // 2 * timedelta(hours=1) for n in range(40)],
               "temp": [30.0 + n for n in range(40)]}  # fmt: skip
    made = lake.create_table("features.weather", weather, primary_keys=["origin", "time_hour"], event_time="time_hour",
                             properties={"delta.enableChangeDataFeed": "true"})  # fmt: skip
    for _ in range(12):
        made.merge({k: v[:2] for k, v in weather.items()})
    flights = {"origin": weather["origin"], "time_hour": weather["time_hour"], "late": [n % 3 == 0 for n in range(40)]}
    lake.create_table("raw.flights", flights)
    project, folder = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("elsewhere")
    (project / "boathouse.yml").write_text(BUNDLE)
    (project / "say.py").write_text("print('trained')\n")
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(project)})
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "BOATHOUSE_HOME": str(folder / "home"),
               "BOATHOUSE_URL": lake.http.url, "BOATHOUSE_TOKEN": lake.http.token or ""}  # fmt: skip
    hidden = ["bwrap", "--dev-bind", "/", "/", "--tmpfs", lake.call("GET", "/api/v1/whoami")["home"]] if _hides() else []

    def run(script: str) -> str:
        (folder / "example.py").write_text(script)
        words = [*hidden, sys.executable, "example.py"]
        done = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, check=False)
        return f"{done.stdout}{done.stderr}" if done.returncode else ""

    return run


def test_tables_jobs_features_and_volumes_need_no_more_than_an_address_and_a_token(elsewhere: Callable[[str], str]) -> None:
    assert not elsewhere(TABLES)


@needs_lightgbm
@pytest.mark.long
def test_models_are_trained_logged_and_scored_from_there(elsewhere: Callable[[str], str]) -> None:
    assert not elsewhere(MODELS)


def _hides() -> bool:
    """Whether a process can be kept from seeing the home here, as on another machine."""
    tried = shutil.which("bwrap") and subprocess.run(["bwrap", "--dev-bind", "/", "/", "true"], check=False, capture_output=True)
    return bool(tried and tried.returncode == 0)


@pytest.mark.long
def test_a_project_below_the_top_comes_into_an_empty_folder_runs_and_is_requested(
    lake: Lake, elsewhere: Callable[[str], str], tmp_path: Path
) -> None:
    tests = {f"tests/{kind}/test_{kind}.py": "def test_it(): pass\n" for kind in ("unit", "integration")}
    files = {"boathouse.yml": PROJECT, "jobs/say.py": "print('first')\n", **tests}
    for name, text in files.items():
        path = tmp_path / "ml" / "taxi" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    there = lake.call("PUT", "/api/v1/projects/taxi")["repository"]
    git = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "first"], ["push", "-q", there, "main"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    assert elsewhere(CODE) == ""
    done = lake.call("GET", "/api/v1/runs?job=fares")[0]
    assert "lies in True" in lake.jobs.log(done["id"], "say")
    request = lake.call("GET", "/api/v1/requests")[0]
    assert (request["project"], request["branch"].startswith("workspace/")) == ("taxi", True)
    tested = lake.jobs.wait(next(c["run"] for c in request["checks"].values() if c.get("run")))
    assert tested["state"] == "SUCCESS", "\n".join(lake.jobs.log(tested["id"], task["task_key"]) for task in tested["tasks"])
    lake.call("POST", f"/api/v1/requests/{request['id']}/merge")
    assert [d["project"] for d in lake.call("GET", "/api/v1/environments/staging")["deployments"]] == ["taxi"]
