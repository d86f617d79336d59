"""Inputs that are named like columns of the inference table are kept beside them."""

import json

import pyarrow as pa

from boathouse.monitoring.unpack import _predictions
from boathouse.serving import META, input_name
from boathouse.serving.inference_log import silver_rows


def test_a_batch_keeps_them() -> None:
    scored = pa.table({"source": ["web"], "label": [1], "amount": [2.0], "request_id": ["r1"], "prediction": [0.5]})
    rows = silver_rows(scored, version="3", mode="batch", source="run1", feature_versions={}).to_pylist()[0]
    assert {name: rows[name] for name in ("source", "input_source", "label", "input_label", "amount", "request_id")} == {
        "source": "run1", "input_source": "web", "label": None, "input_label": 1, "amount": 2.0, "request_id": "r1",
    }  # fmt: skip
    assert set(rows) - set(META) == {"input_source", "input_label", "amount"}


def test_an_online_request_keeps_them() -> None:
    request = {
        "response": json.dumps({"predictions": [1.0]}), "features": json.dumps([{"mode": "express", "amount": 2.0}]),
        "request_id": "r1", "request_time": None, "endpoint": "buys", "model_version": "3", "feature_versions": "{}",
    }  # fmt: skip
    [row] = _predictions(request)
    assert (row["mode"], row["input_mode"], row["amount"]) == ("online", "express", 2.0)


def test_other_names_stay() -> None:
    assert (input_name("amount"), input_name("label_time")) == ("amount", "input_label_time")
