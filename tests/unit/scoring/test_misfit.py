"""What a model's signature says against rows that it failed on."""

from typing import Any

import pandas as pd
import pytest
from mlflow.models import infer_signature

from boathouse.scoring import Model

FRAME = pd.DataFrame({"amount": [1.5], "kind": ["a"], "count": [3], "at": pd.to_datetime(["2024-01-31"]), "sure": [True]})
GOOD: dict[str, list[Any]] = {
    "amount": [1, 2.5], "kind": ["a", None], "count": [2, 3], "at": ["2024-01-31", None], "sure": [True, False],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*integer column:UserWarning")
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"unknown": [1, 2]}, None),
        ({"amount": [1, "x"]}, "row 1 has 'x' in the column 'amount', which takes the type double"),
        ({"count": [[1], 2]}, "row 0 has [1] in the column 'count', which takes the type long"),
        ({"kind": ["a", 5]}, "row 1 has 5 in the column 'kind', which takes the type string"),
        ({"sure": ["yes", True]}, "row 0 has 'yes' in the column 'sure', which takes the type boolean"),
        ({"kind": None}, "the rows lack 'kind'; the model takes amount, kind, count, at, sure"),
    ],
)
def test_the_column_is_named(changed: dict[str, Any], said: str | None) -> None:
    model = Model("shop.buyers", "1", None, None, tuple(FRAME), object(), infer_signature(FRAME))
    columns = {name: values for name, values in {**GOOD, **changed}.items() if values is not None}
    assert model.misfit(columns) == said


def test_a_model_without_a_signature_says_nothing() -> None:
    assert Model("shop.buyers", "1", None, None, (), object(), None).misfit({"a": ["x"]}) is None
