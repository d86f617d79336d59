from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import duckdb
import pandas as pd
import pytest

from boathouse.errors import InvalidInput
from boathouse.monitoring import (
    TABLE,
    MonitorSpec,
    binary_metrics,
    multiclass_metrics,
    profile,
    regression_metrics,
)

SPEC = MonitorSpec(
    "flights.log",
    "classification",
    "ts",
    ("1 day",),
    "prediction",
    "score",
    "label",
    "version",
    slicing_exprs=("wet",),
    columns=(),
)
SCORES = ("roc_auc_score", "log_loss", "brier", "calibration_error", "mean_prediction", "mean_label")


def rows(con: duckdb.DuckDBPyConnection, relation: str, spec: MonitorSpec = SPEC) -> list[dict[str, Any]]:
    return [r for r in profile(con, relation, spec).to_pylist() if r["column_name"] == TABLE]


def of(log: pd.DataFrame, row: dict[str, Any]) -> pd.DataFrame:
    """The rows of the log that a profile row is about."""
    part = log[(log.ts >= row["window"]["start"]) & (log.ts < row["window"]["end"])]
    part = part if row["version"] == "*" else part[part.version == row["version"]]
    return part if row["slice_key"] is None else part[part.wet == (row["slice_value"] == "true")]


def test_every_group_has_the_quality_of_its_rows(con: duckdb.DuckDBPyConnection, log: pd.DataFrame) -> None:
    found = rows(con, "log")
    assert len(found) == 3 * 3 * 3
    for row in found:
        part = of(log, row)
        binary, classes = (
            binary_metrics(part.label, part.score),
            multiclass_metrics(part.label, part.prediction),
        )
        assert row["num_labels"] == len(part)
        for name in SCORES:
            assert row[name] == pytest.approx(binary[name], abs=1e-12), name
        assert row["accuracy_score"] == pytest.approx(classes["accuracy_score"])
        for name in ("precision", "recall", "f1_score"):
            for how in ("macro", "weighted"):
                assert row[name][how] == pytest.approx(classes[f"{name}.{how}"], abs=1e-12)


def test_the_confusion_matrix_has_classes_as_users_wrote_them(
    con: duckdb.DuckDBPyConnection, log: pd.DataFrame
) -> None:
    truth = pd.crosstab(log.label, log.prediction)
    cast = "SELECT * REPLACE ({} AS label, {} AS prediction) FROM log"
    spec = replace(
        SPEC, granularities=("1 week",), model_id_col=None, slicing_exprs=(), prediction_proba_col=None
    )
    for kinds, texts in (
        (("label::DOUBLE", "prediction"), ("0", "1")),
        (("label::BOOLEAN", "prediction::DOUBLE"), ("0", "1")),
        (("label::BOOLEAN", "prediction::BOOLEAN"), ("false", "true")),
        (("if(label = 1, 'late', 'ok')", "if(prediction = 1, 'late', 'ok')"), ("ok", "late")),
    ):
        [row] = rows(con, cast.format(*kinds), spec)
        found = {(c["label"], c["prediction"]): c["count"] for c in row["confusion_matrix"]}
        assert found == {(texts[y], texts[p]): truth.loc[y, p] for y in (0, 1) for p in (0, 1)}


def test_ties_count_half(con: duckdb.DuckDBPyConnection, log: pd.DataFrame) -> None:
    for row in rows(con, "SELECT * REPLACE (round(score, 1) AS score) FROM log"):
        part = of(log, row)
        rounded = con.sql("SELECT round(score, 1) AS s FROM part").to_arrow_table()["s"].to_numpy()
        assert row["roc_auc_score"] == pytest.approx(
            binary_metrics(part.label, rounded)["roc_auc_score"], abs=1e-12
        )


def test_one_class_has_no_auc(con: duckdb.DuckDBPyConnection, log: pd.DataFrame) -> None:
    for row in rows(con, "SELECT * REPLACE (1 AS label) FROM log"):
        assert row["roc_auc_score"] is None
        assert row["log_loss"] > 0
        assert row["mean_label"] == 1


def test_rows_without_a_label_do_not_count(con: duckdb.DuckDBPyConnection, log: pd.DataFrame) -> None:
    late = "SELECT * REPLACE (CASE WHEN ts < '2013-07-02' AND n > 1 THEN label END AS label) FROM log"
    spec = replace(SPEC, model_id_col=None, slicing_exprs=())
    first, second, _ = rows(con, late, spec)
    part = log[(log.ts < datetime(2013, 7, 2, tzinfo=UTC)) & (log.n > 1)]
    assert first["num_labels"] == len(part) < first["count"]
    assert first["mean_prediction"] == pytest.approx(part.score.mean())
    assert [second[name] for name in ("num_labels", "accuracy_score", *SCORES)] == [None] * 8


def test_without_scores_there_is_still_accuracy(con: duckdb.DuckDBPyConnection, log: pd.DataFrame) -> None:
    for row in rows(con, "SELECT * REPLACE (NULL::DOUBLE AS score) FROM log"):
        assert row["accuracy_score"] == pytest.approx((of(log, row).label == of(log, row).prediction).mean())
        assert row["log_loss"] is None


def test_a_score_alone_predicts_the_positive_class_from_one_half(
    con: duckdb.DuckDBPyConnection, log: pd.DataFrame
) -> None:
    spec = MonitorSpec(
        "t", "classification", "ts", ("1 week",), None, "score", "label", positive="late", columns=()
    )
    [row] = rows(con, "SELECT ts, score, if(label = 1, 'late', 'ok') AS label FROM log", spec)
    expected = binary_metrics(log.label, log.score)
    assert row["accuracy_score"] == pytest.approx(expected["accuracy_score"])
    assert row["roc_auc_score"] == pytest.approx(expected["roc_auc_score"])


def test_text_labels_with_scores_need_to_know_the_positive_one(
    con: duckdb.DuckDBPyConnection, log: pd.DataFrame
) -> None:
    with pytest.raises(InvalidInput, match="positive=1, which is no label in 'label'; set it"):
        rows(con, "SELECT * REPLACE (if(label = 1, 'late', 'ok') AS label) FROM log")


def test_probabilities_of_all_classes_are_passed_over_beside_a_prediction(
    con: duckdb.DuckDBPyConnection, log: pd.DataFrame
) -> None:
    lists = "SELECT * REPLACE ([1 - score, score] AS score) FROM log"
    assert all(row["accuracy_score"] and row["roc_auc_score"] is None for row in rows(con, lists))
    with pytest.raises(InvalidInput, match="score is no number: without a prediction_col"):
        rows(con, lists, replace(SPEC, prediction_col=None))


def test_probabilities_given_as_classes_are_refused(
    con: duckdb.DuckDBPyConnection, log: pd.DataFrame
) -> None:
    with pytest.raises(InvalidInput, match="name it as prediction_proba_col"):
        rows(con, "log", replace(SPEC, prediction_col="score", prediction_proba_col=None))


def test_regression_has_the_measures_of_its_rows(con: duckdb.DuckDBPyConnection, log: pd.DataFrame) -> None:
    spec = replace(
        SPEC, problem_type="regression", prediction_col="score", prediction_proba_col=None, label_col="x"
    )
    for row in rows(con, "log", spec):
        expected = regression_metrics(of(log, row).x, of(log, row).score)
        for name in set(expected) - {"num_labels"}:
            assert row[name] == pytest.approx(expected[name]), name
        assert row["num_labels"] == expected["num_labels"]
        assert row["accuracy_score"] is None


def test_a_constant_label_has_no_r2(con: duckdb.DuckDBPyConnection, log: pd.DataFrame) -> None:
    spec = replace(
        SPEC,
        problem_type="regression",
        prediction_col="score",
        prediction_proba_col=None,
        label_col="constant",
    )
    for row in rows(con, "log", spec):
        assert row["r2_score"] is None
        assert row["mean_squared_error"] > 0


def test_the_log_loss_of_several_classes_takes_each_ones_probability(con: duckdb.DuckDBPyConnection) -> None:
    con.sql("""CREATE TABLE grades AS SELECT TIMESTAMPTZ '2024-03-04 00:00:00+00' AS at, * FROM (VALUES
        (1.0, 1.0, MAP {'1': 0.7, '2': 0.2, '3': 0.1}), (2.0, 1.0, MAP {'1': 0.6, '2': 0.3, '3': 0.1}),
        (3.0, 3.0, MAP {'1': 0.0, '2': 0.0, '3': 1.0}), (3.0, 2.0, NULL), (NULL, 2.0, MAP {'2': 1.0})
        ) AS t (label, said, chances)""")
    spec = MonitorSpec("grades", "classification", "at", ("1 week",), prediction_col="said", class_probas_col="chances",
                       label_col="label", columns=("said",))  # fmt: skip
    (row,) = rows(con, "grades", spec)
    expected = multiclass_metrics([1, 2, 3], [1, 1, 3], [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0, 0, 1]], [1, 2, 3])
    assert row["log_loss"] == pytest.approx(expected["log_loss"])
    assert row["accuracy_score"] == 0.5
