"""Model quality for every group of a cube at once: here in SQL all but the measures of scores.

Only rows with a label and a prediction count, and for measures of scores a score: so `mean_prediction` and
`mean_label` speak of the same rows, and a window whose labels are still to come has no quality rather than
a wrong one. The formulas are those of `measures`, which the tests hold these to.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from boathouse.errors import InvalidInput
from boathouse.monitoring.columns import Column, literal, pick
from boathouse.monitoring.cube import Cube
from boathouse.monitoring.spec import MonitorSpec

MAX_CLASSES = 200
_EPS = "2.220446049250313e-16"


@dataclass(frozen=True)
class Quality:
    """How to measure a model: a query of group `g` and quality columns, and the labelled rows with scores."""

    sql: str
    scored: str | None = None


def quality(
    con: duckdb.DuckDBPyConnection, cube: Cube, spec: MonitorSpec, columns: Mapping[str, Column]
) -> Quality | None:
    """The quality of the spec's model; None without labels.

    Raises InvalidInput when a classifier's predictions are too many different values to be classes.
    """
    named = (spec.label_col, spec.prediction_col, spec.prediction_proba_col, spec.class_probas_col)
    if not spec.problem_type or not spec.label_col or any(n and n not in columns for n in named):
        return None
    if spec.problem_type == "regression":
        label, prediction = pick(columns, [spec.label_col, spec.prediction_col or ""], spec.table)
        return Quality(_regression(cube, label, prediction))
    if spec.prediction_col and columns[spec.prediction_col].family == "numeric":
        _check_few(con, cube, columns[spec.prediction_col], columns[spec.label_col], spec.table)
    classes = _classes(spec, columns)
    labelled = _labelled(cube, classes)
    scores = f"(SELECT * FROM {labelled} WHERE s IS NOT NULL)" if classes.score else None
    return Quality(_confusion(cube, classes, labelled), scores)


def _regression(cube: Cube, label: Column, prediction: Column) -> str:
    y, p = label.number, prediction.number
    known = f"{y} IS NOT NULL AND {p} IS NOT NULL"
    measures = {
        "num_labels": "count(*)",
        "squared": f"avg(({p} - {y}) ** 2)",
        "mean_average_error": f"avg(abs({p} - {y}))",
        "mean_absolute_percentage_error": f"avg(abs({p} - {y}) / greatest(abs({y}), {_EPS}))",
        "spread": f"var_pop({y})",
        "mean_prediction": f"avg({p})",
        "mean_label": f"avg({y})",
    }
    sums = cube.grouped({name: f"{sql} FILTER ({known})" for name, sql in measures.items()})
    return (
        "SELECT * EXCLUDE (squared, spread), squared AS mean_squared_error,"
        " sqrt(squared) AS root_mean_squared_error, 1 - squared / nullif(spread, 0) AS r2_score"
        f" FROM ({sums})"
    )


@dataclass(frozen=True)
class _Classes:
    """SQL of a row's label, predicted class, score and whether it is positive; `text` makes a class text.

    `by_class` is a map from class to probability, where there is one instead of a score.
    """

    label: str
    predicted: str
    positive: str
    score: str | None
    text: str
    by_class: str | None = None

    @property
    def loss(self) -> str:
        """What a row adds to the log loss of three and more classes; null without probabilities."""
        if not self.by_class:
            return "NULL::DOUBLE"
        chance = f"{self.by_class}[{self.text.format(self.label)}]"
        return f"CASE WHEN {self.by_class} IS NOT NULL THEN -ln(greatest({chance}, {_EPS})) END"  # an unknown class has none


def _classes(spec: MonitorSpec, columns: Mapping[str, Column]) -> _Classes:
    label = columns[spec.label_col or ""]
    predicted = columns[spec.prediction_col] if spec.prediction_col else None
    proba = columns[spec.prediction_proba_col] if spec.prediction_proba_col else None
    sides = [label, predicted] if predicted else [label]
    numbers = all(side.family in ("numeric", "boolean") for side in sides)
    score = proba.number if proba and proba.family == "numeric" else None
    positive = f"CAST({_class(label, numbers)} = {_positive(spec, numbers)} AS INTEGER)"
    if not predicted:
        if not score:
            raise InvalidInput(
                f"{spec.table}.{spec.prediction_proba_col} is no number: without a prediction_col the monitor"
                " needs the probability of the positive class"
            )
        return _Classes(positive, f"CAST({score} >= 0.5 AS INTEGER)", positive, score, "CAST({} AS VARCHAR)")
    return _Classes(
        _class(label, numbers),
        _class(predicted, numbers),
        positive,
        score,
        _text(numbers, booleans=all(side.family == "boolean" for side in sides)),
        columns[spec.class_probas_col].sql if spec.class_probas_col and not score else None,
    )


def _class(column: Column, numbers: bool) -> str:
    """A class for comparing: true is 1 and 1.0 is 1 where both sides are numbers, else as text."""
    if not numbers:
        return f"CAST({column.sql} AS VARCHAR)"
    return column.number


def _text(numbers: bool, booleans: bool) -> str:
    """A class as users wrote it: true, not 1; 1, not 1.0."""
    if booleans:
        return "CAST(CAST({} AS BOOLEAN) AS VARCHAR)"
    return "regexp_replace(CAST({} AS VARCHAR), '\\.0$', '')" if numbers else "{}"


def _positive(spec: MonitorSpec, numbers: bool) -> str:
    value = spec.positive
    if numbers:
        words = {"true": 1.0, "false": 0.0}
        try:
            return repr(words.get(str(value).lower()) if str(value).lower() in words else float(value))
        except ValueError:
            pass
    elif isinstance(value, str | bool):
        return literal(value if isinstance(value, str) else str(value).lower())
    elif not spec.prediction_proba_col:
        return "NULL"
    raise InvalidInput(
        f"the monitor of {spec.table} has positive={value!r}, which is no label in {spec.label_col!r};"
        " set it to the label that prediction_proba_col is the probability of"
    )


def _check_few(con: duckdb.DuckDBPyConnection, cube: Cube, prediction: Column, label: Column, table: str) -> None:
    """A classifier's predictions are classes; probabilities would make a confusion matrix of every row."""
    count = f"SELECT approx_count_distinct({prediction.sql}) FROM {cube.rows} WHERE {label.sql} IS NOT NULL"
    [(found,)] = con.sql(count).fetchall()
    if found > MAX_CLASSES:
        raise InvalidInput(
            f"{table}.{prediction.name} holds about {found} different predictions, too many for classes: of a model of numbers "
            "say problem_type: PROBLEM_TYPE_REGRESSION in the monitor's inference_log; if it is a probability, name it as "
            "prediction_proba_col instead of prediction_col"
        )


def _labelled(cube: Cube, classes: _Classes) -> str:
    """A relation of the rows that count: keys, label `y`, prediction `p`, whether positive, score `s`, their log loss."""
    found = {
        "y": classes.label,
        "p": classes.predicted,
        "pos": classes.positive,
        "s": classes.score or "NULL",
        "loss": classes.loss,
    }
    named = ", ".join(f"{sql} AS {name}" for name, sql in found.items())
    rows = f"SELECT {', '.join(cube.keys)}, __k, {named} FROM {cube.rows}"
    return f"(SELECT * FROM ({rows}) WHERE y IS NOT NULL AND p IS NOT NULL)"


def _confusion(cube: Cube, classes: _Classes, labelled: str) -> str:
    sums = {"n": "count(*)", "positives": "sum(pos)", "loss": "sum(loss)", "told": "count(loss)"}
    cells = cube.folded(["y", "p"], sums, labelled)
    loss = ", sum(loss) / nullif(sum(told), 0) AS log_loss" if classes.by_class else ""  # else that of scores
    confusion = _CONFUSION.format(loss=loss, **{side: classes.text.format(side) for side in "yp"})
    return (
        f"WITH cells AS MATERIALIZED ({cells}), {confusion}, {_CLASSES}"
        " SELECT * FROM confusion JOIN per_class USING (g)"
    )


_CONFUSION = """confusion AS (
    SELECT g, sum(n) AS num_labels, sum(n) FILTER (y = p) / sum(n) AS accuracy_score,
        sum(positives) / sum(n) AS mean_label{loss},
        list({{'prediction': {p}, 'label': {y}, 'count': n}} ORDER BY y, p) AS confusion_matrix
    FROM cells GROUP BY g)"""

# A class never predicted has precision 0, one without labels recall 0; both weigh in the macro means.
_CLASSES = """per_class AS (
    SELECT g, {'macro': avg(precise), 'weighted': sum(precise * labels) / sum(labels)} AS precision,
        {'macro': avg(recalled), 'weighted': sum(recalled * labels) / sum(labels)} AS recall,
        {'macro': avg(f1), 'weighted': sum(f1 * labels) / sum(labels)} AS f1_score
    FROM (
        SELECT g, sum(labels) AS labels, coalesce(sum(hits) / nullif(sum(guesses), 0), 0) AS precise,
            coalesce(sum(hits) / nullif(sum(labels), 0), 0) AS recalled,
            2 * sum(hits) / (sum(guesses) + sum(labels)) AS f1
        FROM (
            SELECT g, y AS class, n AS labels, 0 AS guesses, CASE WHEN y = p THEN n ELSE 0 END AS hits
            FROM cells UNION ALL SELECT g, p, 0, n, 0 FROM cells)
        GROUP BY g, class)
    GROUP BY g)"""
