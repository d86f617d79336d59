"""Models and code move apart: one release retrains every week, and one model outlives two releases."""

import importlib.util
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boathouse.client import Lake

pytestmark = [pytest.mark.journey, pytest.mark.long, pytest.mark.xdist_group("life_cycles")]

TARGETS = """
targets:
  dev: {default: true, mode: development, environment: dev}
  staging: {environment: staging}
  prod: {mode: production, environment: prod}
"""
FRAUD = {
    "boathouse.yml": f"""
bundle: {{name: fraud}}
{TARGETS}
resources:
  jobs:
    ingest:
      tasks: [{{task_key: ingest, spark_python_task: {{python_file: ingest.py}}}}]
    training:
      schedule: {{quartz_cron_expression: "0 0 6 ? * MON", timezone_id: UTC, pause_status: PAUSED}}
      tasks: [{{task_key: train, spark_python_task: {{python_file: train.py, parameters: ["{{{{job.as_of}}}}"]}}}}]
  registered_models:
    fraud:
      schema_name: shop
      name: fraud
      delivery:
        evaluation:
          table: raw.payments
          where: "paid_at >= (select max(paid_at) from {{table}}) - interval '7 days'"
          label: fraud
          metrics: {{accuracy: {{min: 0.7, not_worse_than_champion_by: 0.1}}}}
""",
    "ingest.py": """
import datetime, random
import boathouse

chance, start = random.Random(1), datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
rows = []
for hour in range(24 * 7 * 8):
    amount, abroad = chance.gauss(0, 1), chance.random() < 0.5
    rows.append({"paid_at": start + datetime.timedelta(hours=hour), "amount": amount, "abroad": float(abroad),
                 "fraud": "fraud" if amount + abroad > 1 else "in order"})
boathouse.connect().create_table("raw.payments", rows)
""",
    "train.py": """
import sys
import mlflow.sklearn
from sklearn.linear_model import LogisticRegression
import boathouse
from boathouse.feature_engineering import FeatureEngineeringClient

lake, fe, as_of = boathouse.connect(), FeatureEngineeringClient(), sys.argv[1]
rows = lake.table("raw.payments").read(where=f"paid_at < TIMESTAMPTZ '{as_of}'").to_arrow()
examples = fe.create_training_set(df=rows, feature_lookups=[], label="fraud", exclude_columns=["paid_at"])
frame = examples.load_df().to_pandas()
with mlflow.start_run():
    mlflow.log_param("rows", len(frame))
    model = LogisticRegression().fit(frame[["amount", "abroad"]], frame["fraud"])
    fe.log_model(model=model, artifact_path="model", flavor=mlflow.sklearn, training_set=examples,
                 registered_model_name="shop.fraud")
""",
}
MONITOR = """
  quality_monitors:
    topic:
      model: topic
      inference_log: {granularities: ["1 day"]}
      labels: {table: raw.papers, keys: [paper], label: topic}
"""
PAPERS = {
    "boathouse.yml": f"""
bundle: {{name: papers}}
{TARGETS}
resources:
  jobs:
    gather:
      tasks: [{{task_key: gather, spark_python_task: {{python_file: gather.py}}}}]
    learn:
      tasks: [{{task_key: learn, spark_python_task: {{python_file: learn.py, parameters: ["KIND"]}}}}]
    score:
      tasks: [{{task_key: score, spark_python_task: {{python_file: score.py}}}}]
  registered_models:
    topic:
      schema_name: library
      name: topic
      delivery: {{evaluation: {{table: raw.papers, label: topic, metrics: {{f1_macro: {{min: 0.4}}}}}}}}
{MONITOR}""",
    "gather.py": """
import boathouse

WORDS = {"river law": ["water", "court", "claim"], "sailing": ["boat", "wind", "harbour"]}
rows = [{"paper": f"{topic}-{n}", "topic": topic, "medium": "scan" if n % 2 else "print",
         "text": " ".join(w.upper() if n % 2 else w for w in (words[n % 3], words[(n + 1) % 3]))}
        for topic, words in WORDS.items() for n in range(60)]
boathouse.connect().create_table("raw.papers", rows)
""",
    "net.py": """
import mlflow.pyfunc
import numpy as np
import pandas as pd
import torch


class Topics(mlflow.pyfunc.PythonModel):
    \"\"\"A bag of words into a linear layer; capital letters are other words to it.\"\"\"

    def __init__(self, texts, labels):
        self.words = {word: n for n, word in enumerate(sorted({w for text in texts for w in text.split()}))}
        self.classes_ = sorted(set(labels))
        torch.manual_seed(1)
        self.net = torch.nn.Linear(len(self.words), len(self.classes_))
        aim, rows = torch.tensor([self.classes_.index(label) for label in labels]), self._rows(texts)
        optimizer = torch.optim.Adam(self.net.parameters(), lr=0.1)
        for _ in range(100):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(self.net(rows), aim).backward()
            optimizer.step()

    def _rows(self, texts):
        rows = torch.zeros(len(texts), len(self.words))
        for n, text in enumerate(texts):
            for word in text.split():
                if word in self.words:
                    rows[n, self.words[word]] += 1
        return rows

    def predict(self, context, model_input, params=None):
        with torch.no_grad():
            shares = torch.softmax(self.net(self._rows(list(model_input["text"]))), 1)
        return pd.DataFrame(shares.numpy(), columns=self.classes_)
""",
    "learn.py": """
import sys
import mlflow, mlflow.pyfunc, mlflow.sklearn
import boathouse
from boathouse.feature_engineering import FeatureEngineeringClient

lake, fe = boathouse.connect(), FeatureEngineeringClient()
rows = lake.table("raw.papers").read(where="medium = 'print'").to_arrow()
examples = fe.create_training_set(df=rows, feature_lookups=[], label="topic", exclude_columns=["paper", "medium"])
frame = examples.load_df().to_pandas()
if sys.argv[1] == "torch":
    from net import Topics
    kept = dict(model=Topics(list(frame["text"]), list(frame["topic"])), flavor=mlflow.pyfunc, code_paths=["net.py"],
                pip_requirements=["torch", "pandas"])
else:
    from sklearn.compose import make_column_transformer
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    words = make_column_transformer((CountVectorizer(lowercase=False), "text"))
    kept = dict(model=make_pipeline(words, LogisticRegression()).fit(frame[["text"]], frame["topic"]), flavor=mlflow.sklearn)
with mlflow.start_run():
    fe.log_model(artifact_path="model", training_set=examples, registered_model_name="library.topic", **kept)
""",
    "score.py": """
import boathouse
from boathouse.feature_engineering import FeatureEngineeringClient

RELEASE, CLEAN = "1.0", "text"
rows = boathouse.connect().sql(
    f"select paper || '/' || '{RELEASE}' as request_id, paper, medium, {CLEAN} as text from raw.papers").to_arrow()
fe = FeatureEngineeringClient()
fe.score_batch(model_uri="models:/library.topic@champion", df=rows, log_to="library.topic")
""",
}


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=Ann Lee", "-c", "user.email=ann@example.org")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def released(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, dict[str, str], str], Path]:
    """Commits files to a project's main, and cuts a release of it."""
    folders: dict[str, Path] = {}

    def release(name: str, files: dict[str, str], version: str) -> Path:
        repository = lake.call("PUT", f"/api/v1/projects/{name}")["repository"]
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp(name)
            git(folders[name], "init", "-q", "-b", "main")
        for file, words in files.items():
            (folders[name] / file).write_text(words)
        git(folders[name], "add", ".")
        git(folders[name], "commit", "-q", "-m", f"For {version}")
        git(folders[name], "push", "-q", repository, "main")
        lake.call("POST", "/api/v1/releases", {"project": name, "version": version})
        return folders[name]

    return release


@pytest.fixture(scope="module")
def prod(lake: Lake) -> Lake:
    """The operator, in prod."""
    return Lake(lake.http, "prod")


def champion(prod: Lake, name: str, version: int) -> dict[str, Any]:
    """The model, once a version has become Production by its evidence."""
    limit = time.monotonic() + 300
    while time.monotonic() < limit:
        model: dict[str, Any] = prod.call("GET", f"/api/v1/models/prod.{name}")
        if model["production"] == version:
            return model
        time.sleep(1)
    raise AssertionError(f"version {version} is not Production: {model}")


def test_one_release_retrains_every_week_and_evidence_delivers(
    lake: Lake, prod: Lake, released: Callable[..., Path]
) -> None:
    released("fraud", FRAUD, "1.0")
    before = [d["id"] for d in lake.call("GET", "/api/v1/deployments?environment=prod")]
    prod.jobs.run("ingest")
    weeks = {"start": "2024-01-22T00:00:00+00:00", "end": "2024-02-07T00:00:00+00:00"}
    runs = prod.call("POST", "/api/v1/jobs/prod/training/backfill", weeks)["run_ids"]
    assert len(runs) == 3
    ended = [prod.jobs.wait(run, 300) for run in runs]
    assert {run["state"] for run in ended} == {"SUCCESS"}, [prod.jobs.log(run["id"], "train") for run in ended]
    model = champion(prod, "shop.fraud", 3)
    versions = sorted(model["versions"], key=lambda v: v["version"])
    assert [(v["version"], v["stage"]) for v in versions] == [(1, "Archived"), (2, "Archived"), (3, "Production")]
    assert {v["verdict"]["outcome"] for v in versions} == {"pass"}
    assert [v["verdict"]["evidence"]["champion_version"] for v in versions] == [None, "1", "2"]
    assert [d["id"] for d in lake.call("GET", "/api/v1/deployments?environment=prod")] == before


def test_two_releases_change_the_code_around_one_model(lake: Lake, prod: Lake, released: Callable[..., Path]) -> None:
    kind = "torch" if importlib.util.find_spec("torch") else "sklearn"
    released("papers", {**PAPERS, "boathouse.yml": PAPERS["boathouse.yml"].replace("KIND", kind)}, "1.0")
    prod.jobs.run("gather")
    prod.jobs.run("learn")
    first = champion(prod, "library.topic", 1)["versions"][0]
    prod.jobs.run("score")
    prod.call("POST", "/api/v1/monitors/prod/topic/refreshes", {})

    sliced = PAPERS["boathouse.yml"].replace("KIND", kind).rstrip() + "\n      slicing_exprs: [medium]\n"
    clean = PAPERS["score.py"].replace('"1.0", "text"', '"1.1", "lower(text)"')
    released("papers", {"boathouse.yml": sliced, "score.py": clean}, "1.1")
    prod.jobs.run("score")
    prod.call("POST", "/api/v1/monitors/prod/topic/refreshes", {})

    model = champion(prod, "library.topic", 1)
    assert [(v["version"], v["source"], v["run_id"]) for v in model["versions"]] == [(1, first["source"], first["run_id"])]
    rows = prod.table("library.topic_inference").read().to_dicts()
    right = {release: [r["prediction"] == r["paper"].rpartition("-")[0] for r in rows if r["request_id"].endswith(release)]
             for release in ("1.0", "1.1")}  # fmt: skip
    assert [len(hits) for hits in right.values()] == [120, 120]
    assert sum(right["1.0"]) < 100  # capitals were unknown words
    assert sum(right["1.1"]) == 120
    slices = prod.table("library.topic_inference_profile_metrics").read(where="slice_key = 'medium'").to_dicts()
    assert {r["slice_value"] for r in slices} == {"scan", "print"}
