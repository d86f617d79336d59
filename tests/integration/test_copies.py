"""A version that was trained in dev is copied to staging: tested there against what staging has, traced and shown back to dev."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from boathouse import context as contexts
from boathouse.client import Lake
from boathouse.context import RunFacts
from boathouse.environments import push
from boathouse.feature_engineering import FeatureEngineeringClient, FeatureLookup

pytestmark = [pytest.mark.xdist_group("copies"), pytest.mark.filterwarnings("ignore")]

BUNDLE = """
bundle: {name: shop}
targets: {staging: {mode: production, environment: staging}}
resources:
  registered_models:
    reorder:
      schema_name: shop
      name: reorder
      delivery:
        mode: automatic
        evaluation: {table: shop.cases, label: bought, metrics: {accuracy: {min: 0.5}}, min_rows: 20}
        artifact: {requirements: skip}
"""
COMMIT = "c0ffee" * 6 + "beef"
Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def trained(lake: Lake) -> None:
    """Version 1 in dev, which looks a customer's mood up."""
    fe = FeatureEngineeringClient(context=Lake(lake.http, "dev", RunFacts(commit=COMMIT)))
    mood = np.random.default_rng(4).normal(size=200)
    rows = pd.DataFrame({"customer": np.arange(200), "mood": mood, "bought": (mood > 0).astype(int)})
    fe.create_table(name="shop.moods", primary_keys=["customer"], df=rows[["customer", "mood"]])
    lookup = FeatureLookup(table_name="shop.moods", feature_names=["mood"], lookup_key="customer")
    examples = fe.create_training_set(df=rows[["customer", "bought"]], feature_lookups=[lookup], label="bought",
                                      exclude_columns=["customer"])  # fmt: skip
    frame = examples.load_df().toPandas()
    import mlflow

    with mlflow.start_run():
        fe.log_model(model=LogisticRegression().fit(frame[["mood"]], frame["bought"]), artifact_path="model",
                     flavor=mlflow.sklearn, training_set=examples, registered_model_name="shop.reorder")  # fmt: skip


@pytest.fixture(scope="module")
def staged(lake: Lake, trained: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Staging says how the model is delivered, and has rows to measure on, but not the features."""
    project = tmp_path_factory.mktemp("shop")
    (project / "boathouse.yml").write_text(BUNDLE)
    git = ["git", "-C", str(project), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    push(project, Path(lake.call("PUT", "/api/v1/projects/shop")["repository"]), "main")
    lake.call("POST", "/api/v1/deployments", {"target": "staging", "project": "shop", "ref": "main"})
    cases = pd.DataFrame({"customer": np.arange(200), "bought": np.arange(200) % 2})
    lake.create_table("staging.shop.cases", cases)


def verdict(lake: Lake, version: str) -> dict[str, Any]:
    limit = time.monotonic() + 240
    while time.monotonic() < limit:
        found = lake.call("GET", f"/api/v1/models/staging.shop.reorder/versions/{version}/verdicts")
        if found:
            return dict(found[0])
        time.sleep(0.3)
    raise AssertionError("no verdict came")


@pytest.mark.long
def test_the_copy_is_held_back_where_its_features_are_not(lake: Lake, staged: None, command: Command) -> None:
    code, said = command("models", "copy", "shop.reorder/1", "--to", "staging")
    assert (code, "staging.shop.reorder version 1 is a copy of dev.shop.reorder version 1" in said) == (0, True), said
    found = verdict(lake, "1")
    assert found["outcome"] == "fail"
    assert any("shop.moods" in reason for reason in found["reasons"]), found


@pytest.mark.long
def test_it_passes_where_they_are_and_leads_back_to_dev(lake: Lake, staged: None, command: Command) -> None:
    rows = pd.DataFrame({"customer": np.arange(200), "mood": np.where(np.arange(200) % 2, 1.0, -1.0)})
    lake.create_table("staging.shop.moods", rows, primary_keys=["customer"])
    copied = lake.models.copy("shop.reorder", "1", "staging")
    assert copied["delivery"] == "automatic"
    version = str(copied["version"])
    assert verdict(lake, version)["outcome"] == "pass"
    code, said = command("models", "show", "staging.shop.reorder", "--version", version)
    assert (code, "dev.shop.reorder version 1, by" in said) == (0, True), said
    code, said = command("models", "history", "staging.shop.reorder")
    assert (code, "verdict: pass" in said, "passed" in said) == (0, True, True), said
    graph = lake.call("GET", "/api/v1/lineage/model:staging.shop.reorder")
    assert {"model:dev.shop.reorder", "dev.shop.moods"} <= {edge["source"] for edge in graph}


def test_what_is_said_of_a_model_is_found_and_mlflow_sees_the_same(lake: Lake, trained: None, command: Command) -> None:
    assert command("models", "describe", "shop.reorder", "Who buys again")[0] == 0
    assert command("models", "describe", "shop.reorder/1", "The first")[0] == 0
    code, said = command("models", "tag", "shop.reorder", "team=growth", "tier=1")
    assert (code, "tagged team=growth, tier=1" in said) == (0, True), said
    assert command("models", "tag", "shop.reorder/1", "checked=yes")[0] == 0
    seen = lake.call("GET", "/api/2.0/mlflow/registered-models/get?name=shop.reorder")["registered_model"]
    tags = {t["key"]: t["value"] for t in seen["tags"]}
    assert (seen["description"], tags) == ("Who buys again", {"team": "growth", "tier": "1"})
    found = lake.call("GET", "/api/2.0/mlflow/model-versions/get?name=shop.reorder&version=1")["model_version"]
    assert (found["description"], {"key": "checked", "value": "yes"} in found["tags"]) == ("The first", True)
    for words in (["--search", "BUYS"], ["--search", "reord"], ["--tag", "team"], ["--tag", "team=growth", "--tag", "tier=1"]):
        assert "dev.shop.reorder" in command("models", "list", *words)[1], words
    for words in (["--search", "b_ys"], ["--tag", "team=sales"], ["--tag", "team=growth", "--tag", "tier=2"]):
        assert "no model that you may see" in command("models", "list", *words)[1], words
    command("models", "tag", "shop.reorder", "tier=")
    assert lake.models.get("shop.reorder")["tags"] == {"team": "growth"}


def test_comments_carry_a_name_and_are_taken_away_by_their_author(lake: Lake, trained: None, command: Command) -> None:
    said = command("models", "comment", "shop.reorder/1", "Looks odd for new customers")[1]
    assert "comment 1 on dev.shop.reorder version 1" in said
    command("models", "comment", "shop.reorder", "Retrain in May")
    [first, second] = lake.models.comments("shop.reorder")
    assert (first["version"], second["version"], first["text"]) == (1, None, "Looks odd for new customers")
    assert [c["id"] for c in lake.models.comments("shop.reorder", 1)] == [1]
    assert "Retrain in May" in command("models", "show", "shop.reorder")[1]
    assert command("models", "comment", "shop.reorder", "--remove", "1")[0] == 0
    assert [c["text"] for c in lake.models.comments("shop.reorder")] == ["Retrain in May"]


def test_a_prediction_by_a_copy_leads_back_to_the_run_the_commit_and_the_tables_of_its_training(
    lake: Lake, trained: None, command: Command
) -> None:
    staging, source = Lake(lake.http, "staging"), lake.models.version("shop.reorder", "1")
    rows = pd.DataFrame({"customer": np.arange(200), "mood": 1.0})
    staging.create_table("shop.moods", rows, primary_keys=["customer"], exists_ok=True)
    copy = f"staging.shop.reorder/{lake.models.copy('shop.reorder', '1', 'staging')['version']}"
    asked = contexts.arrow(pd.DataFrame({"customer": [7], "request_id": ["asked-1"]}))
    FeatureEngineeringClient(context=staging).score_batch(model_uri=f"models:/{copy}", df=asked, log_to="shop.reorder")
    found = staging.call("GET", "/api/v1/trace/staging/asked-1")
    assert found["model"]["copied_from"][0]["name"] == "dev.shop.reorder"
    training = found["training"]
    assert (training["mlflow_run"], training["commit"]) == (source["run_id"], COMMIT)
    assert set(training["tables"]) == {"dev.shop.moods"}
    assert set(found["features_from"]) == {"staging.shop.moods"}
    assert {"dev.shop.moods", "staging.shop.moods"} <= set(found["raw_tables"])
    code, said = command("--env", "staging", "trace", "asked-1")
    assert code == 0
    assert all(word in said for word in (source["run_id"], COMMIT[:7], "dev.shop.moods", "dev.shop.reorder")), said
