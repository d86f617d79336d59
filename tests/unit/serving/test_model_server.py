"""A model server outlives whatever a model does short of ending the process."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from boathouse.scoring import Model
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
