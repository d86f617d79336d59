"""What a bundle may ask of new versions, and what it may not."""

from typing import Any

import pytest

from boathouse.delivery import Plan
from boathouse.errors import InvalidBundle, InvalidInput
from boathouse.project import definition, parse_resource

EVALUATION = {"table": "f.t", "label": "y", "metrics": {"roc_auc": {"min": 0.6}}}


def model(**delivery: Any) -> dict[str, Any]:
    body = {"schema_name": "shop", "name": "m", "delivery": {"evaluation": EVALUATION, **delivery}}
    return definition(parse_resource("registered_model", body))


def test_all_that_is_asked_reaches_the_gates() -> None:
    asked = model(
        mode="partly_automatic", artifact={"trusted": "shop.net.*", "pickles": "warn"}, features={"max_age": "2d"},
        replay={"days": 3, "min_rows": 50, "metrics": {"rmse": {"max": 2}}, "max_prediction_shift": 0.1, "when_missing": "pass"},
        evaluation={**EVALUATION, "slice_min_rows": 7, "max_memory_mb": 500, "positive": "yes",
                    "fairness": [{"slice": "city = 'Oslo'", "equal_opportunity": 0.1}]},
    )  # fmt: skip
    plan = Plan.from_dict(asked["delivery"])
    limits, replay = plan.limits, plan.limits.replay
    assert (plan.mode, list(plan.artifact["trusted"]), limits.pickles) == ("partly_automatic", ["shop.net.*"], "warn")
    assert (limits.max_feature_age, limits.slice_min_rows, limits.max_memory_mb) == (172800.0, 7, 500)
    [fair] = limits.fairness
    assert (fair.slice, dict(fair.limits), fair.positive) == ("city = 'Oslo'", {"equal_opportunity": 0.1}, "yes")
    assert replay is not None
    assert (replay.days, replay.min_rows, replay.thresholds["rmse"].max, replay.when_missing) == (3, 50, 2, "pass")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"evaluation": {**EVALUATION, "fairness": [{"slice": "a"}]}}, "needs a limit for one of statistical_parity"),
        ({"evaluation": {**EVALUATION, "metrics": {"f1": {"min": 0.1, "confident": True}}}}, "confident about nothing"),
        ({"replay": {"metrics": {"f1": {}}}}, "f1 needs min, max or not_worse_than_champion_by"),
        ({"features": {"max_age": "soon"}}, "max_age"),
        ({"artifact": {"pickles": "maybe"}}, "pickles"),
    ],
)  # fmt: skip
def test_what_asks_nothing_or_cannot_be_met_is_an_error(asked: dict[str, Any], said: str) -> None:
    with pytest.raises((InvalidBundle, InvalidInput, ValueError), match=said):
        model(**asked)
