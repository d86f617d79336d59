import pytest

from boathouse.alerts import metric_column, parse_condition
from boathouse.errors import InvalidInput

VALUES = {
    "roc_auc_score": 0.64,
    "mean_prediction": 0.254,
    "mean_label": 0.322,
    "count": 5000.0,
    "precision.macro": 0.7,
    "population_stability_index": float("nan"),
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("roc_auc < 0.68", True),
        ("roc_auc >= 0.68", False),
        ("abs(mean_prediction - mean_label) > 0.05", True),
        ("mean_label / mean_prediction > 1.2 AND count > 1000", True),
        ("not (roc_auc < 0.68 or count <= 10)", False),
        ("0.6 < roc_auc < 0.7", True),
        ("count = 5000", True),
        ("count <> 5000", False),
        ("-mean_label + 1 > 0.6 and precision != 0", True),
        ("ROC_AUC < .65", True),
        ("(count - 4000) * 2 == 2000", True),
    ],
)
def test_conditions_are_judged(text: str, holds: bool) -> None:
    assert parse_condition(text).holds(VALUES.get) is holds


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("psi > 0.2", None),
        ("r2 > 0.2", None),
        ("psi > 0.2 or roc_auc < 0.68", True),
        ("psi > 0.2 and roc_auc > 0.68", False),
        ("psi > 0.2 and roc_auc < 0.68", None),
        ("not psi > 0.2", None),
        ("abs(-psi) > 0", None),
        ("roc_auc / (count - 5000) > 1", None),
    ],
)
def test_a_missing_metric_leaves_open_only_what_depends_on_it(text: str, holds: bool | None) -> None:
    assert parse_condition(text).holds(VALUES.get) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "roc_auc",
        "0.68",
        "roc_auc <",
        "roc_auc < 'a'",
        "roc_auc < True",
        "roc_auc ** 9 > 1",
        "roc_auc < 0.68 < (1 < 2)",
        "(roc_auc < 0.68) + 1 > 0",
        "not roc_auc",
        "__import__('os').system('true') > 0",
        "abs(roc_auc, 1) > 0",
        "max(roc_auc) > 0",
        "[c for c in (1,)] > 0",
        "(lambda: 1)() > 0",
        "roc_auc is 1",
        "count > 1e999",
        "count > 9" + "9" * 400,
        "count > 1 or " * 50 + "count > 1",
        "(" * 240 + "1",
    ],
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="condition"):
        parse_condition(text)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("roc_auk", "roc_auc"),
        ("recall.makro", "recall.macro"),
        ("percent_nulls", "percent_null"),
        ("psy", "psi"),
    ],
)
def test_an_unknown_metric_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(
        InvalidInput, match=f"'{name}' is not a metric of the gold tables; the nearest is '{nearest}'"
    ):
        parse_condition(f"{name} < 0.5")


def test_aliases_and_columns_name_the_same_metric() -> None:
    assert (
        metric_column("roc_auc") == metric_column("AUC") == metric_column("roc_auc_score") == "roc_auc_score"
    )
    assert metric_column("accuracy") == "accuracy_score"
    assert metric_column("psi") == "population_stability_index"
    assert metric_column("ks") == metric_column("ks_test.statistic") == "ks_test.statistic"
    assert metric_column("precision") == "precision.macro"


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("roc_auc < 0.68", "roc_auc 0.64 < 0.68"),
        ("roc_auc > 0.68", "roc_auc 0.64 not > 0.68"),
        ("roc_auc < 0.64003", "roc_auc 0.64 < 0.64003"),
        ("abs(mean_prediction - mean_label) > 0.05", "abs(mean_prediction - mean_label) 0.068 > 0.05"),
        ("mean_label > mean_prediction", "mean_label 0.322 > 0.254"),
        ("count > 4000", "count 5000 > 4000"),
        ("psi < 1 or count > 1", "psi < 1 or count > 1 (psi none, count 5000)"),
        ("psi < 1 and count > 9999", "not (psi < 1 and count > 9999) (psi none, count 5000)"),
    ],
)
def test_the_reason_gives_the_values(text: str, description: str) -> None:
    assert parse_condition(text).describe(VALUES.get) == description


def test_a_value_close_to_the_limit_is_shown_on_its_side() -> None:
    assert (
        parse_condition("roc_auc < 0.68").describe({"roc_auc_score": 0.67998}.get) == "roc_auc 0.67998 < 0.68"
    )
