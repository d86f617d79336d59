"""A model server outlives whatever a model does short of ending the process, and answers in JSON's own words."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pandas as pd

from boathouse.features import FeatureSpec
from boathouse.scoring import Model, spec_alone
from boathouse.serving import ModelServer, Spool


class Leaving:
    """A model that leaves when it is asked of a row with `leave`."""

    def predict(self, rows: pd.DataFrame) -> Any:
        """Zeros."""
        if rows["leave"].any():
            raise SystemExit(4)
        return [0.0] * len(rows)


def test_a_model_that_leaves_fails_at_its_rows_alone(tmp_path: Path) -> None:
    def load(version: int) -> Model:
        if version == 2:
            raise SystemExit(5)
        return Model("shop.odd", str(version), None, None, ("leave",), Leaving(), None)

    async def ask() -> list[tuple[int, str]]:
        server = ModelServer("dev.odd", load, None, Spool(tmp_path / "s"), "key")  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://model",
                                     headers={"x-boathouse-key": "key"}) as http:  # fmt: skip
            found = [await http.post("/load", content=json.dumps({"version": n})) for n in (1, 2)]
            for leave in (1, 0):
                question = json.dumps({"dataframe_records": [{"leave": leave}]})
                found.append(await asyncio.wait_for(http.post("/invocations", content=question), 5))
            return [(answer.status_code, answer.text) for answer in found]

    loaded, failed, left, stayed = asyncio.run(ask())
    assert loaded == (200, "{}")
    assert failed[0] == 503
    assert "SystemExit: 5" in failed[1]
    assert left[0] == 400
    assert "the model failed on these rows: SystemExit: 4" in left[1]
    assert stayed[0] == 200
    assert len(next((tmp_path / "s").glob("*.jsonl")).read_text().splitlines()) == 2


SPEC = """
input_columns:
- k: {source: training_data, data_type: '', include: true, topological_ordering: 0}
- seats: {source: feature_store, data_type: 'map<string,bigint>', table_name: f.t, feature_name: seats, lookup_key: [k],
          timestamp_lookup_key: [], lookback_window: null, output_name: seats, include: true, topological_ordering: 1}
- price: {source: feature_store, data_type: 'decimal(38,6)', table_name: f.t, feature_name: price, lookup_key: [k],
          timestamp_lookup_key: [], lookback_window: null, output_name: price, include: true, topological_ordering: 2}
input_tables:
- f.t: {table_version: 1, primary_keys: [k], event_time: null, known_time: null, lookback_window: null}
input_functions: []
label_columns: []
spine_columns: [k]
serialization_version: 11
"""


def test_maps_are_objects_and_decimals_have_all_their_digits(tmp_path: Path) -> None:
    described = SimpleNamespace(keys=("k",), columns=("seats", "price"), time=None, version=1)
    rows = [([("first", 8), ("second", 90)], Decimal("12345678901234567890.123456")), ([], None), None]
    online = SimpleNamespace(lookup_many=lambda _: [(described, rows)])
    spec = spec_alone("dev.f.spec", "1", FeatureSpec.from_yaml(SPEC))

    async def ask() -> str:
        server = ModelServer("dev.f", lambda _: spec, online, Spool(tmp_path / "s"), "key")  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://model",
                                     headers={"x-boathouse-key": "key"}) as http:  # fmt: skip
            await http.post("/load", content=json.dumps({"version": 1}))
            return (await http.post("/invocations", content=json.dumps({"inputs": {"k": [1, 2, 3]}}))).text

    assert json.loads(asyncio.run(ask()), parse_float=Decimal) == {"outputs": [
        {"seats": {"first": 8, "second": 90}, "price": Decimal("12345678901234567890.123456")},
        {"seats": {}, "price": None}, {"seats": None, "price": None},
    ]}  # fmt: skip
