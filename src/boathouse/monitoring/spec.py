"""What is watched: a table, its times, and for a model its predictions and labels."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from boathouse.errors import InvalidInput
from boathouse.monitoring.gold import gold_names
from boathouse.monitoring.windows import parse_granularity

ProblemType = Literal["classification", "regression"]
Kind = Literal["inference_log", "time_series", "snapshot"]

PROBLEM_TYPES = ("classification", "regression")


@dataclass(frozen=True)
class MonitorSpec:
    """A monitor of one table.

    With a `problem_type` it is an inference log, with only a `timestamp_col` a time series, with
    neither a snapshot (no windows: the whole table, each time). `prediction_proba_col` holds the
    probability of the class `positive`; without `prediction_col` the predicted class is that
    probability >= 0.5. `class_probas_col` is a map from each class, as text, to its probability, for classifiers of
    three and more classes. `slicing_exprs` are SQL expressions over the columns: a Boolean one gives two
    slices, another one a slice per value. `columns` are the columns to profile (None: all).
    `baseline` names the table to compare with, `output_schema` where the results go (None: beside the table).
    Raises InvalidInput.
    """

    table: str
    problem_type: ProblemType | None = None
    timestamp_col: str | None = None
    granularities: tuple[str, ...] = ("1 day", "1 week")
    prediction_col: str | None = None
    prediction_proba_col: str | None = None
    label_col: str | None = None
    model_id_col: str | None = None
    slicing_exprs: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    positive: str | int | bool = 1
    baseline: str | None = None
    output_schema: str | None = None
    class_probas_col: str | None = None

    def __post_init__(self) -> None:
        spelled = (str(parse_granularity(text)) for text in _texts("granularities", self.granularities))
        object.__setattr__(self, "granularities", tuple(dict.fromkeys(spelled)))
        object.__setattr__(self, "slicing_exprs", _texts("slicing_exprs", self.slicing_exprs))
        if self.columns is not None:
            object.__setattr__(self, "columns", _texts("columns", self.columns))
        if self.problem_type is None:
            self._check_without_model()
        else:
            self._check_inference_log()
        if self.timestamp_col and not self.granularities:
            raise InvalidInput(f"the monitor of {self.table} has a timestamp_col: give it granularities")
        for expression in self.slicing_exprs:
            check_slice(expression)

    @property
    def kind(self) -> Kind:
        """What the published interface calls the monitor's type."""
        if self.problem_type:
            return "inference_log"
        return "time_series" if self.timestamp_col else "snapshot"

    @property
    def gold(self) -> tuple[str, str]:
        """The names of its profile and drift tables."""
        return gold_names(self.table, self.output_schema)

    def _check_without_model(self) -> None:
        for field in ("prediction_col", "prediction_proba_col", "class_probas_col", "label_col", "model_id_col"):
            if getattr(self, field):
                raise InvalidInput(
                    f"the monitor of {self.table} has {field} {getattr(self, field)!r} but no problem_type;"
                    f" give one of {', '.join(PROBLEM_TYPES)}"
                )

    def _check_inference_log(self) -> None:
        who = f"the monitor of {self.table}"
        if self.problem_type not in PROBLEM_TYPES:
            raise InvalidInput(
                f"{who} has problem_type {self.problem_type!r}; it is one of {', '.join(PROBLEM_TYPES)}"
            )
        if not self.timestamp_col:
            raise InvalidInput(f"{who} is an inference log: give it a timestamp_col")
        if self.problem_type == "regression" and self.prediction_proba_col:
            raise InvalidInput(
                f"{who} has prediction_proba_col {self.prediction_proba_col!r}, which regression cannot use"
            )
        if not (self.prediction_col or self.prediction_proba_col):
            raise InvalidInput(f"{who} is an inference log: give it a prediction_col or prediction_proba_col")


def _texts(field: str, values: Iterable[str]) -> tuple[str, ...]:
    if isinstance(values, str):
        raise InvalidInput(f"{field} is a list; write [{values!r}]")
    return tuple(values)


def check_slice(expression: str) -> None:
    """Whether a slicing expression is one scalar SQL expression over the table's own columns.

    Raises InvalidInput for anything else: several statements, subqueries, aggregates, window functions.
    """
    import sqlglot
    from sqlglot import exp

    try:
        parsed = sqlglot.parse_one(f"SELECT {expression}", dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise InvalidInput(f"the slicing expression {expression!r} is not SQL: {error}") from error
    plain = isinstance(parsed, exp.Select) and {k for k, v in parsed.args.items() if v} <= {"expressions"}
    inner = parsed.expressions if plain else []
    if len(inner) != 1 or inner[0].find(exp.Query, exp.AggFunc, exp.Window, exp.Star, exp.Alias):
        raise InvalidInput(
            f"the slicing expression {expression!r} must be one expression over the table's own columns,"
            " without subqueries, aggregates or aliases"
        )
