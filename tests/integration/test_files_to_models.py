"""Images and texts in a volume: a job trains on them, registers models, and scores new files into a table."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boathouse.cli.app import main
from boathouse.client import Http, Lake
from boathouse.errors import NotPermitted

pytestmark = pytest.mark.xdist_group("files_to_models")  # one process: its server and fixtures are made once

BUNDLE = """
bundle: {name: media}
targets:
  dev: {default: true, mode: development, environment: dev}
resources:
  jobs:
    learn:
      tasks:
        - {task_key: learn, spark_python_task: {python_file: learn.py}}
"""
LEARN = """
import mlflow, mlflow.sklearn
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import boathouse
from boathouse.feature_engineering import FeatureEngineeringClient

lake = boathouse.connect()
media = lake.volume("media.inbox")
fe = FeatureEngineeringClient()

def image(file):
    with media.open(file.path) as stream:
        return np.asarray(Image.open(stream), float).ravel() / 255

def images(prefix):
    return pd.DataFrame([image(f) for f in media.list(prefix)]).rename(columns=lambda i: f"p{i:02}")

def texts(prefix):
    return pd.DataFrame({"text": [media.read_text(f.path) for f in media.list(prefix)]})

def learn(name, read, prefix, model):
    frame, known = read(prefix), [f.path.split("/")[2] for f in media.list(prefix)]
    classes = sorted(set(known))
    examples = fe.create_training_set(df=frame.assign(label=[classes.index(k) for k in known]), feature_lookups=[], label="label")
    with mlflow.start_run(run_name=name):
        model.fit(frame, examples.load_df().to_pandas()["label"])
        fe.log_model(model=model, artifact_path="model", flavor=mlflow.sklearn, training_set=examples,
                     registered_model_name=f"media.{name}", pip_requirements=["scikit-learn", "pandas", "skops"])
    return classes

def score(name, read, prefix, classes):
    found = fe.score_batch(model_uri=f"models:/media.{name}/1", df=read(prefix), result_type="long").to_pandas()
    files = [f.path for f in media.list(prefix)]
    return pd.DataFrame({"file": files, "model": name, "label": [classes[p] for p in found["prediction"]]})

words = make_pipeline(make_column_transformer((TfidfVectorizer(), "text")), LogisticRegression())
stripes = learn("stripes", images, "train/images", LogisticRegression())
tones = learn("tones", texts, "train/texts", words)
scored = pd.concat([score("stripes", images, "new/images", stripes), score("tones", texts, "new/texts", tones)])
lake.create_table("media.labels", scored, primary_keys=["file"])
media.put(scored.to_csv(index=False).encode(), "reports/labels.csv")
print("read by path:", len(list((media.path / "new").rglob("*.*"))))
"""
PRAISE, BLAME = ("lovely", "calm", "good", "bright"), ("dreadful", "loud", "bad", "gloomy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small images of lying and standing stripes, and short opinions; the new ones by number only."""
    chance, root = np.random.default_rng(3), tmp_path_factory.mktemp("media")
    for kind in ("lying", "standing"):
        for number in range(12):
            place = root / "train" / "images" / kind if number < 8 else root / "new" / "images"
            place.mkdir(parents=True, exist_ok=True)
            stripes = np.tile((np.arange(8) // 2 % 2 * 200)[:, None], (1, 8)) + chance.integers(0, 55, (8, 8))
            Image.fromarray((stripes if kind == "lying" else stripes.T).astype(np.uint8)).save(place / f"{kind}-{number}.png")
    for kind, good in (("praise", PRAISE), ("blame", BLAME)):
        for number in range(12):
            place = root / "train" / "texts" / kind if number < 8 else root / "new" / "texts"
            place.mkdir(parents=True, exist_ok=True)
            words = f"the boat was {good[number % 4]} and {good[(number + 1) % 4]}, quay {number}"
            (place / f"{kind}-{number}.txt").write_text(words)
    return root


@pytest.fixture(scope="module")
def learned(lake: Lake, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the job wrote; the files came by the command line."""
    project = tmp_path_factory.mktemp("project")
    for name, words in (("boathouse.yml", BUNDLE), ("learn.py", LEARN)):
        (project / name).write_text(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOATHOUSE_URL", lake.http.url)
        patch.setenv("BOATHOUSE_TOKEN", lake.http.token or "")
        main(["--home", str(project / "nobody's"), "volumes", "create", "media.inbox"])
        main(["--home", str(project / "nobody's"), "volumes", "put", str(folder), "media.inbox"])
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(project)})
    return lake.jobs.log(lake.jobs.run("learn")["id"], "learn")


def test_models_learn_from_files_and_label_new_ones(lake: Lake, learned: str) -> None:
    labels = lake.sql("SELECT file, model, label FROM media.labels").to_dicts()
    assert len(labels) == 16
    assert [row for row in labels if f"/{row['label']}-" not in row["file"]] == []
    assert lake.volume("media.inbox").read_text("reports/labels.csv").count("\n") == 17
    assert "read by path: 16" in learned


def test_what_came_from_where_is_known(lake: Lake, learned: str) -> None:
    inbox = "volume:dev.media.inbox"
    for made in ("dev.media.labels", "model:dev.media.stripes", "model:dev.media.tones"):
        assert inbox in {edge["source"] for edge in lake.lineage(made)}, made
    entries = lake.call("GET", "/api/v1/audit?limit=1000&subject=dev.media.inbox")
    changes = [e for e in entries if "path" in e["details"]]  # beside them, reads are counted
    assert [e["details"]["path"] for e in changes if e["principal"] == "dev-jobs"] == ["reports/labels.csv"]


def test_who_may_read_the_table_may_not_read_the_files(lake: Lake, learned: str) -> None:
    lake.call("POST", "/api/v1/principals", {"name": "ann"})
    for privilege, kind, name in (("USE CATALOG", "catalog", "dev"), ("USE SCHEMA", "schema", "dev.media"),
                                  ("SELECT", "schema", "dev.media")):  # fmt: skip
        body = {"principal": "ann", "privilege": privilege, "kind": kind, "securable": name}
        lake.call("POST", "/api/v1/grants", body)
    with Lake(Http(lake.http.url, lake.call("POST", "/api/v1/tokens", {"principal": "ann"})["token"]), "dev") as ann:
        assert ann.table("media.labels").read().count() == 16
        with pytest.raises(NotPermitted, match=r"ann lacks READ VOLUME on dev.media.inbox"):
            ann.volume("media.inbox")


