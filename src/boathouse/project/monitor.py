"""Monitors of tables and models, and alerts over what they find."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from boathouse.errors import InvalidInput
from boathouse.monitoring import parse_granularity
from boathouse.project.notification import Targets
from boathouse.project.shape import Resource, Shape, Text, Texts, Word, words
from boathouse.project.starts import Schedule


def _granularity(text: str) -> str:
    try:
        parse_granularity(text)
    except InvalidInput as error:
        raise ValueError(str(error)) from error
    return text


Granularity = Annotated[str, AfterValidator(_granularity)]


class InferenceLog(Shape):
    """Columns of a table of predictions. A monitor of a `model` knows them and needs granularities only."""

    granularities: tuple[Granularity, ...] = ()
    timestamp_col: Word | None = None
    prediction_col: Word | None = None
    prediction_proba_col: Word | None = None
    model_id_col: Word | None = None
    label_col: Word | None = None
    problem_type: Literal["PROBLEM_TYPE_CLASSIFICATION", "PROBLEM_TYPE_REGRESSION"] | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """What a table needs said and this leaves out."""
        asked = ("granularities", "timestamp_col", "prediction_col", "model_id_col", "problem_type")
        return tuple(name for name in asked if not getattr(self, name))


class TimeSeries(Shape):
    """A table with a time and no predictions."""

    timestamp_col: Word
    granularities: tuple[Granularity, ...] = Field(min_length=1)


class Snapshot(Shape):
    """A whole table, each time."""


class Labels(Shape):
    """Where labels arrive later: a table, the columns that find a prediction, and when a label was known."""

    table: Word
    keys: Texts = Field(min_length=1)
    label: Word
    known_time: Word | None = None


class Monitor(Resource):
    """Watches a table (`table_name` and one kind of profile) or a registered model (`model`)."""

    model: Word | None = None
    labels: Labels | None = None
    table_name: Word | None = None
    output_schema_name: Word | None = None
    inference_log: InferenceLog | None = None
    time_series: TimeSeries | None = None
    snapshot: Snapshot | None = None
    slicing_exprs: tuple[Word, ...] = ()
    baseline_table_name: Word | None = None
    schedule: Schedule | None = None
    unsupported = words(
        "assets_dir custom_metrics notifications data_classification_config skip_builtin_dashboard warehouse_id"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.model is None) == (self.table_name is None):
            raise ValueError("a monitor watches either a model or a table_name")
        kinds = [
            kind for kind in ("inference_log", "time_series", "snapshot") if getattr(self, kind) is not None
        ]
        if self.model is None and len(kinds) != 1:
            raise ValueError("a monitor of a table needs one of inference_log, time_series and snapshot")
        if self.model is None and self.inference_log and self.inference_log.missing:
            raise ValueError(f"inference_log of a table needs {', '.join(self.inference_log.missing)}")
        if self.model is not None and (self.time_series or self.snapshot is not None):
            raise ValueError("a monitor of a model takes inference_log only")
        return self


class Alert(Resource):
    """Fires when `condition` holds in `windows` windows one after the other, at a granularity of its monitor.

    `column` says whose metrics are compared; without it, those of the whole table.

    `run_job` starts a job of the project, with `params`; `notify` are e-mail addresses, URLs and `webhook:NAME`.
    """

    monitor: Word
    condition: Word
    column: Word | None = None
    windows: int = Field(default=1, ge=1)
    granularity: Granularity | None = None
    notify: Targets = ()
    run_job: Word | None = None
    params: dict[str, Text] = Field(default_factory=dict)
    unsupported = words(
        """display_name query_text warehouse_id evaluation schedule custom_summary custom_description permissions file_path
        parent_path run_as run_as_user_name"""
    )

    @field_validator("condition")
    @classmethod
    def _understood(cls, condition: str) -> str:
        from boathouse.alerts import parse_condition

        try:
            parse_condition(condition)
        except InvalidInput as error:
            raise ValueError(str(error)) from error
        return condition

    @model_validator(mode="after")
    def _known(self) -> Self:
        from boathouse.alerts import check_column, parse_condition

        try:
            check_column(parse_condition(self.condition), self.column)
        except InvalidInput as error:
            raise ValueError(str(error)) from error
        return self
