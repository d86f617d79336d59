"""The jobs jointly, on two months of data: real tables in throw-away schemas of staging.

The tests follow one another, as the jobs do.
"""

from typing import Any

import boathouse
import pytest

from jobs import features, ingest, score, train
from shop.features import TABLES as FEATURES
from shop.model import MODEL
from shop.raw import TABLES as RAW

AS_OF = ["--as-of", "2025-03-24"]


@pytest.fixture(scope="module")
def lake() -> Any:
    return boathouse.connect()


def count(lake: Any, table: str) -> int:
    return int(lake.sql(f"select count(*) as n from {table}").to_dicts()[0]["n"])


def test_tables_grow_in_steps_and_nothing_comes_twice(lake: Any) -> None:
    sizes = []
    for day in ("2025-03-10", "2025-03-24", "2025-03-24"):
        ingest.main(["--as-of", day])
        features.main(["--as-of", day])
        sizes.append([count(lake, table.name) for table in (*RAW, *FEATURES)])
    first, second, again = sizes
    assert all(0 < before < after for before, after in zip(first, second, strict=True))
    assert again == second


def test_a_model_is_trained_and_registered(lake: Any) -> None:
    train.main(AS_OF)
    assert lake.models.get(MODEL)["versions"]


def test_every_customer_is_scored_once(lake: Any) -> None:
    newest = [*AS_OF, "--from", "2025-03-17", "--model-uri", f"models:/{MODEL}/1"]
    score.main(newest)
    scored = count(lake, f"{MODEL}_inference")
    score.main(newest)
    assert scored == count(lake, f"{MODEL}_inference") > 0
