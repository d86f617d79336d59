"""Models of any library and any task are logged, judged, scored in three modes into one table, and watched."""

import asyncio
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from lightgbm_here import needs_lightgbm

from boathouse import context as contexts
from boathouse.client import Lake
from boathouse.delivery.asked import Plan
from boathouse.delivery.evaluate import gather
from boathouse.delivery.gates import decide
from boathouse.errors import Conflict, InvalidInput
from boathouse.feature_engineering import FeatureEngineeringClient
from boathouse.features import open_online_store
from boathouse.monitoring.definition import completed
from boathouse.monitoring.refresh import refresh
from boathouse.scoring import load
from boathouse.serving import PAYLOAD_SCHEMA, ModelServer, Spool, flush

pytestmark = pytest.mark.xdist_group("any_library")  # one process: its server and models are made once

AT = datetime(2024, 3, 4, tzinfo=UTC)
NUMBERS = ["x", "z"]
MIXED = ["x", "z", "port", "notes"]


@dataclass(frozen=True)
class Case:
    """A model, what it is told and asked, and what is to come of it."""

    make: Callable[[pd.DataFrame, Any], Any]
    flavor: str
    label: str | None
    inputs: list[str]
    metrics: Mapping[str, Any]
    task: str = "CLASSIFICATION"
    kind: pa.DataType = field(default_factory=pa.float64)
    quality: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


def boosted(frame: pd.DataFrame, label: Any) -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=15, n_jobs=1, verbose=-1).fit(frame, label)


def booster(frame: pd.DataFrame, label: Any) -> Any:
    import lightgbm

    return lightgbm.train({"objective": "regression", "num_threads": 1, "verbose": -1}, lightgbm.Dataset(frame, label), 40)


def pipeline(frame: pd.DataFrame, label: Any) -> Any:
    """Numbers with gaps, categories with gaps, and texts, as one pipeline."""
    from sklearn.compose import make_column_transformer
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    columns = make_column_transformer(
        (SimpleImputer(), NUMBERS), (OneHotEncoder(handle_unknown="ignore"), ["port"]), (CountVectorizer(), "notes")
    )
    return make_pipeline(columns, LogisticRegression(max_iter=500)).fit(frame, label)


def outliers(frame: pd.DataFrame, label: Any) -> Any:
    from sklearn.ensemble import IsolationForest

    return IsolationForest(n_estimators=20, random_state=1).fit(frame)


def own(frame: pd.DataFrame, label: Any) -> Any:
    import mlflow.pyfunc

    class Rule(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        """Answers with a frame: a class in words, and how sure it is."""

        def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
            chance = 1 / (1 + np.exp(-4 * model_input["x"].fillna(0)))
            said = np.where(chance >= (params or {}).get("threshold", 0.5), "late", "in time")
            return pd.DataFrame({"prediction": said, "prediction_probability": chance})

    return Rule()


def trained(net: Any, frame: pd.DataFrame, aim: Any, loss: Any) -> Any:
    import torch

    rows = torch.tensor(frame.to_numpy(np.float32))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss(net(rows), aim).backward()
        optimizer.step()
    return net.eval()


def layers(width: int, *after: Any) -> Any:
    """A bare module of two inputs."""
    import torch

    return torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, width), *after)


def net_of_words(frame: pd.DataFrame, label: Any) -> Any:
    """Ends in a softmax, and tells what its outputs mean."""
    import torch

    torch.manual_seed(1)
    net = layers(3, torch.nn.Softmax(1))
    net.classes_ = sorted(set(label))
    aim = torch.tensor([net.classes_.index(word) for word in label])
    return trained(net, frame, aim, lambda said, aim: torch.nn.functional.nll_loss(torch.log(said + 1e-6), aim))


def net_of_numbers(frame: pd.DataFrame, label: Any) -> Any:
    import torch

    torch.manual_seed(1)
    return trained(layers(1), frame, torch.tensor(label.to_numpy(np.float32))[:, None], torch.nn.functional.mse_loss)


def graph(model: Any, frame: pd.DataFrame, **options: Any) -> Any:
    """A scikit-learn model as an ONNX graph of one tensor."""
    from skl2onnx import to_onnx

    return to_onnx(model, frame.to_numpy(np.float32)[:1], options={id(model): options} if options else None)


def graph_of_words(frame: pd.DataFrame, label: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return graph(LogisticRegression(max_iter=500).fit(frame.to_numpy(), label), frame)


def graph_of_numbers(frame: pd.DataFrame, label: Any) -> Any:
    from sklearn.ensemble import GradientBoostingRegressor

    return graph(GradientBoostingRegressor(n_estimators=40).fit(frame.to_numpy(), label), frame)


def with_threshold(frame: pd.DataFrame) -> Any:
    from mlflow.models import infer_signature

    return infer_signature(frame, pd.DataFrame({"prediction": ["late"], "prediction_probability": [0.5]}),
                           params={"threshold": 0.5})  # fmt: skip


CASES = {
    "lightgbm_whole_numbers": Case(boosted, "lightgbm", "grade", NUMBERS, {"f1_weighted": {"min": 0.6}},
                                   quality={"accuracy_score": (0.6, 1), "log_loss": (0, 1)}),
    "lightgbm_classes_in_words": Case(boosted, "lightgbm", "how late", NUMBERS,
                                      {"f1_macro": {"min": 0.6}, "log_loss": {"max": 1}},
                                      kind=pa.string(), quality={"accuracy_score": (0.7, 1), "log_loss": (0, 1)}),
    "lightgbm_numbers": Case(booster, "lightgbm", "minutes", NUMBERS, {"rmse": {"max": 8}, "r2": {"min": 0.5}},
                             task="REGRESSION", quality={"root_mean_squared_error": (0, 8), "r2_score": (0.5, 1)}),
    "sklearn_truth_values": Case(pipeline, "sklearn", "was late", MIXED, {"accuracy": {"min": 0.8}, "f1": {"min": 0.7}},
                                 quality={"accuracy_score": (0.8, 1), "roc_auc_score": (0.8, 1)}),
    "sklearn_two_words": Case(pipeline, "sklearn", "verdict", MIXED, {"roc_auc": {"min": 0.8}, "precision": {"min": 0.7}},
                              kind=pa.string(), quality={"accuracy_score": (0.8, 1), "roc_auc_score": (0.8, 1)}),
    "sklearn_without_label": Case(outliers, "sklearn", None, NUMBERS, {}),
    "pyfunc_of_ones_own": Case(own, "pyfunc", "verdict", NUMBERS, {"accuracy": {"min": 0.7}, "roc_auc": {"min": 0.8}},
                               kind=pa.string(), quality={"accuracy_score": (0.7, 1), "roc_auc_score": (0.8, 1)}),
    "pytorch_classes_in_words": Case(net_of_words, "pytorch", "how late", ["x", "w"],
                                     {"f1_macro": {"min": 0.6}, "log_loss": {"max": 1}},
                                     kind=pa.string(), quality={"accuracy_score": (0.7, 1), "log_loss": (0, 1)}),
    "pytorch_numbers": Case(net_of_numbers, "pytorch", "minutes", ["x", "w"], {"rmse": {"max": 8}, "r2": {"min": 0.5}},
                            task="REGRESSION", quality={"root_mean_squared_error": (0, 8), "r2_score": (0.5, 1)}),
    "onnx_classes_in_words": Case(graph_of_words, "onnx", "how late", ["x", "w"],
                                  {"f1_macro": {"min": 0.6}, "log_loss": {"max": 1}},
                                  kind=pa.string(), quality={"accuracy_score": (0.7, 1), "log_loss": (0, 1)}),
    "onnx_numbers": Case(graph_of_numbers, "onnx", "minutes", ["x", "w"], {"rmse": {"max": 8}, "r2": {"min": 0.5}},
                         task="REGRESSION", quality={"root_mean_squared_error": (0, 8), "r2_score": (0.5, 1)}),
}  # fmt: skip

SEVERAL_CLASSES = ("lightgbm_whole_numbers", "lightgbm_classes_in_words", "pytorch_classes_in_words",
                   "onnx_classes_in_words")  # fmt: skip
"""Their probabilities are kept by class."""
ALWAYS = ("lightgbm_classes_in_words", "sklearn_without_label")
"""The others with LONG=1."""


def voyages(count: int, seed: int) -> pd.DataFrame:
    """Boats, some of whose facts are missing; x decides how late they are, which is told in every kind of label."""
    chance = np.random.default_rng(seed)
    x, z = chance.normal(size=count), chance.normal(size=count)
    minutes = 10 * x + 2 * z + chance.normal(size=count)
    rows = pd.DataFrame({
        "voyage": [f"v{seed}-{n}" for n in range(count)], "x": x, "z": z, "w": z * z, "port": np.where(z > 0, "Kiel", "Riga"),
        "notes": np.where(x > 0, "strong wind ahead", "calm sea"), "minutes": minutes, "late": (minutes > 0).astype(int),
        "was late": minutes > 0, "verdict": np.where(minutes > 0, "late", "in time"), "grade": np.digitize(minutes, [-5, 5]) + 1,
        "how late": np.array(["early", "on time", "very late"])[np.digitize(minutes, [-5, 5])],
    })  # fmt: skip
    rows.loc[chance.random(count) < 0.05, "z"] = None
    rows.loc[chance.random(count) < 0.05, "port"] = None
    return rows


@pytest.fixture(scope="module")
def fe(lake: Lake) -> FeatureEngineeringClient:
    lake.create_table("sea.held_out", contexts.arrow(voyages(300, 2)))
    lake.create_table("sea.outcomes", contexts.arrow(voyages(60, 3)))
    return FeatureEngineeringClient(context=lake)


@pytest.fixture(scope="module")
def logged(fe: FeatureEngineeringClient) -> Callable[[str], Case]:
    """Logs the model of a case once."""
    done: dict[str, Case] = {}

    def log(name: str) -> Case:
        if name not in done:
            case = CASES[name]
            if case.flavor == "pytorch":
                pytest.importorskip("torch", reason="PyTorch is not installed: CONTRIBUTING.md says how")
            if case.flavor == "onnx":
                for package in ("onnxruntime", "skl2onnx"):
                    pytest.importorskip(package, reason="ONNX is not installed: CONTRIBUTING.md says how")
            frame = voyages(400, 1)[[*case.inputs, *([case.label] if case.label else [])]]
            examples = fe.create_training_set(df=contexts.arrow(frame), feature_lookups=[], label=case.label)
            frame = examples.load_df().to_pandas()
            model = case.make(frame[case.inputs], frame[case.label] if case.label else None)
            extra = {"signature": with_threshold(frame[case.inputs])} if case.flavor == "pyfunc" else {}
            fe.log_model(model=model, artifact_path="model", flavor=importlib.import_module(f"mlflow.{case.flavor}"),
                         training_set=examples, registered_model_name=f"sea.{name}", **extra, **case.options)  # fmt: skip
            done[name] = case
        return done[name]

    return log


def judged(lake: Lake, name: str, case: Case) -> Any:
    """The verdict on version 1 by what a bundle asks, gathered as the delivery's own task does."""
    evaluation = {"table": "sea.held_out", "label": case.label, "metrics": case.metrics} if case.label else {}
    plan = Plan.from_dict({"evaluation": evaluation})
    task = {"evaluation": evaluation, "metrics": sorted(plan.thresholds), "artifact": {"requirements": "skip"},
            "champion": None, "ages": False, "ran_here": True, "replay": None}  # fmt: skip
    return decide(gather(lake, f"dev.sea.{name}", 1, task), plan.thresholds, limits=plan.limits)


def server_of(lake: Lake, name: str, spool: Path) -> ModelServer:
    """What an endpoint's process runs. These models look nothing up."""
    empty = open_online_store(f"{spool}-online", "dev")
    return ModelServer("dev.boats", lambda version: load(lake, f"models:/sea.{name}/{version}"), empty, Spool(spool), "key")


def asked(server: ModelServer, body: Mapping[str, Any]) -> tuple[int, Any]:
    """What a model server answers, through its own front door."""

    async def ask() -> tuple[int, Any]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://model",
                                     headers={"x-boathouse-key": "key", "content-type": "application/json"}) as http:  # fmt: skip
            await http.post("/load", content=json.dumps({"version": 1}))
            answer = await http.post("/invocations", content=json.dumps(body))
            return answer.status_code, answer.json()

    return asyncio.run(ask())


def scored_in_three_modes(lake: Lake, fe: FeatureEngineeringClient, name: str, case: Case, folder: Path) -> list[Any]:
    """A third of the voyages each by batch, stream and endpoint; what the endpoint answered."""
    rows = voyages(60, 3)[["voyage", *case.inputs]]
    rows["request_time"] = [AT + timedelta(hours=n) for n in range(60)]
    uri = f"models:/sea.{name}/1"
    fe.score_batch(model_uri=uri, df=contexts.arrow(rows[:20].assign(request_id=rows.voyage)), log_to=f"sea.{name}")
    source = lake.create_table(f"sea.{name}_asked", contexts.arrow(rows[20:40].assign(request_id=rows.voyage)))
    fe.score_stream(model_uri=uri, df=source.stream(), log_to=f"sea.{name}", checkpoint_location=str(folder / "checkpoint"),
                    trigger={"availableNow": True}).awaitTermination(120)  # fmt: skip
    server = server_of(lake, name, folder / "s")
    sent = json.loads(rows[40:].drop(columns="request_time").to_json(orient="records"))
    status, answer = asked(server, {"dataframe_records": sent, "request_time": (AT + timedelta(days=2)).isoformat()})
    assert status == 200, answer
    bronze = lake.create_table(f"sea.{name}_payload", PAYLOAD_SCHEMA)
    assert flush(folder / "s", bronze.transaction_version, bronze.append) == 1
    found: list[Any] = answer["predictions"]
    return found


def watched(lake: Lake, name: str, case: Case) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The silver rows and the newest quality rows, after a monitor's refresh."""
    definition = completed({"model": f"sea.{name}", "inference_log": {"problem_type": f"PROBLEM_TYPE_{case.task}"}}, {})
    if case.label:
        definition["labels"] = {"table": "sea.outcomes", "keys": ["voyage"], "label": case.label}
    done = refresh(lake, definition)
    assert (done.unpacked, done.labelled) == (1, 60 if case.label else 0)
    silver = lake.table(f"sea.{name}_inference").read().to_dicts()
    gold = lake.table(f"sea.{name}_inference_profile_metrics").read(
        where="column_name = ':table' AND model_version = '*' AND log_type = 'INPUT' AND granularity = '1 week'"
    )
    return silver, gold.to_dicts()


def marks(name: str) -> list[Any]:
    """When a case runs, and where it cannot."""
    return [*([] if name in ALWAYS else [pytest.mark.long]), *([needs_lightgbm] if name.startswith("lightgbm") else [])]


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in CASES])
def test_a_model_goes_all_the_way(
    lake: Lake, fe: FeatureEngineeringClient, logged: Callable[[str], Case], name: str, tmp_path: Path
) -> None:
    case = logged(name)
    verdict = judged(lake, name, case)
    assert verdict.outcome == "pass", verdict.reasons
    answers = scored_in_three_modes(lake, fe, name, case, tmp_path)
    silver, gold = watched(lake, name, case)
    assert {row["mode"] for row in silver} == {"batch", "stream", "online"}
    assert len(silver) == 60
    kinds = lake.table(f"sea.{name}_inference").schema()
    assert (kinds.field("prediction").type, kinds.field("label").type) == (case.kind, case.kind)
    online = sorted((row for row in silver if row["mode"] == "online"), key=lambda row: row["row"])
    assert [row["prediction"] for row in online] == answers
    again = fe.score_batch(model_uri=f"models:/sea.{name}/1", df=contexts.arrow(voyages(60, 3)[["voyage", *case.inputs]]))
    before = {row["voyage"]: row["prediction"] for row in silver}
    if name == "onnx_numbers":  # sums in single precision, whose order follows the number of rows
        before = pytest.approx(before, rel=1e-5)
    assert {row["voyage"]: row["prediction"] for row in again.to_dicts()} == before
    if name in SEVERAL_CLASSES:
        told = [(row["prediction"], dict(row["prediction_probabilities"])) for row in silver]
        assert all(sum(by_class.values()) == pytest.approx(1) and len(by_class) == 3 for _, by_class in told)
        assert [max(by_class, key=by_class.__getitem__) for _, by_class in told] == [
            said if isinstance(said, str) else f"{said:g}" for said, _ in told
        ]
    (week,) = gold
    assert week["count"] == 60
    for metric, (least, most) in case.quality.items():
        assert least <= week[metric] <= most, (metric, week[metric])


@needs_lightgbm
def test_words_are_profiled_and_confused_as_words(lake: Lake, logged: Callable[[str], Case]) -> None:
    profile = lake.table("sea.lightgbm_classes_in_words_inference_profile_metrics").read().to_dicts()
    of_all = [r for r in profile if r["model_version"] == "*" and r["granularity"] == "1 week" and r["log_type"] == "INPUT"]
    (prediction,) = [r for r in of_all if r["column_name"] == "prediction"]
    assert {item["item"] for item in prediction["frequent_items"]} == {"early", "on time", "very late"}
    (table,) = [r for r in of_all if r["column_name"] == ":table"]
    assert {cell["label"] for cell in table["confusion_matrix"]} == {"early", "on time", "very late"}
    assert table["roc_auc_score"] is None
    drift = lake.table("sea.lightgbm_classes_in_words_inference_drift_metrics").read(where="column_name = 'prediction'")
    assert any(row["chi_squared_test"] for row in drift.to_dicts())


def test_parameters_reach_the_models_own_predict(
    lake: Lake, fe: FeatureEngineeringClient, logged: Callable[[str], Case], tmp_path: Path
) -> None:
    logged("pyfunc_of_ones_own")
    rows = voyages(40, 5)[["voyage", *NUMBERS]]
    uri = "models:/sea.pyfunc_of_ones_own/1"
    all_late = fe.score_batch(model_uri=uri, df=contexts.arrow(rows), params={"threshold": 0.0})
    assert {row["prediction"] for row in all_late.to_dicts()} == {"late"}
    with pytest.raises(InvalidInput, match="no parameter 'treshold': its parameters are threshold"):
        fe.score_batch(model_uri=uri, df=contexts.arrow(rows), params={"treshold": 0.0})
    logged("sklearn_two_words")
    with pytest.raises(InvalidInput, match="no parameter 'threshold': it declares none"):
        fe.score_batch(model_uri="models:/sea.sklearn_two_words/1", df=contexts.arrow(voyages(4, 5)), params={"threshold": 0.0})
    server = server_of(lake, "pyfunc_of_ones_own", tmp_path)
    body = {"dataframe_records": [{"x": -3.0, "z": 0.0}]}
    assert asked(server, {**body, "params": {"threshold": 0.0}})[1]["predictions"] == ["late"]
    assert asked(server, body)[1]["predictions"] == ["in time"]
    assert asked(server, {**body, "params": {"treshold": 0.0}})[0] == 400


@needs_lightgbm
def test_words_are_no_numbers_and_say_so(lake: Lake, fe: FeatureEngineeringClient, logged: Callable[[str], Case]) -> None:
    logged("sklearn_two_words")
    logged("lightgbm_whole_numbers")
    rows = contexts.arrow(voyages(4, 5))
    with pytest.raises(InvalidInput, match="no long: leave result_type out"):
        fe.score_batch(model_uri="models:/sea.sklearn_two_words/1", df=rows, result_type="long")
    fe.score_batch(model_uri="models:/sea.lightgbm_whole_numbers/1", df=rows, log_to="sea.mixed")
    with pytest.raises(Conflict, match="keeps predictions as double, and version 1 predicts string"):
        fe.score_batch(model_uri="models:/sea.sklearn_two_words/1", df=rows, log_to="sea.mixed")
    definition = completed({"model": "sea.mixed"}, {}) | {"labels": {"table": "sea.outcomes", "keys": ["x"], "label": "verdict"}}
    with pytest.raises(InvalidInput, match=r"sea\.outcomes\.verdict holds '.*' and dev\.sea\.mixed_inference keeps"):
        refresh(lake, definition)


def test_what_a_model_answers_with_can_be_declared(fe: FeatureEngineeringClient) -> None:
    import mlflow.sklearn
    from mlflow.types import ColSpec, Schema
    from sklearn.linear_model import LinearRegression

    frame = voyages(50, 7)[["x", "minutes"]]
    examples = fe.create_training_set(df=contexts.arrow(frame), feature_lookups=[], label="minutes")
    declared = Schema([ColSpec("double", "minutes")])
    info = fe.log_model(model=LinearRegression().fit(frame[["x"]], frame["minutes"]), artifact_path="model",
                        flavor=mlflow.sklearn, training_set=examples, output_schema=declared)  # fmt: skip
    assert info.signature.outputs == declared
