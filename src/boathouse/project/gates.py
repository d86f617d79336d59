"""What a new version of a model must pass, as bundles write it."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from boathouse.delivery import FAIRNESS, METRICS, SYNONYMS, Threshold
from boathouse.names import nearest
from boathouse.project.monitor import Labels
from boathouse.project.shape import Shape, Texts, Word

Duration = Annotated[str, Field(pattern=r"^[1-9][0-9]*[smhd]$")]
"""A number of seconds, minutes, hours or days: `10m`."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(duration: str) -> int:
    """How long a duration is."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]


Thresholds = dict[str, Threshold]


class Fairness(Shape):
    """A condition on the evaluation's rows, and how far each metric inside may differ from outside."""

    slice: Word
    statistical_parity: float | None = Field(default=None, ge=0, le=1)
    equal_opportunity: float | None = Field(default=None, ge=0, le=1)
    predictive_equality: float | None = Field(default=None, ge=0, le=1)
    predictive_parity: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if all(getattr(self, metric) is None for metric in FAIRNESS):
            raise ValueError(f"fairness where {self.slice} needs a limit for one of {', '.join(FAIRNESS)}")
        return self


class Evaluation(Shape):
    """On which rows a new version is measured, and what each metric must reach.

    `keys` and `timestamp` name the columns that find a row's features: with keys features are looked up, and not taken
    from columns of their name; the timestamp is the time of each lookup. `custom` is `module:function` of the
    project, which gets the evidence and answers checks. `positive` is the favourable class of fairness metrics.
    Without a `label` the version must predict for every row, in time, and pass the checks of `custom`.
    """

    table: Word
    label: Word | None = None
    where: Word | None = None
    keys: Texts = ()
    timestamp: Word | None = None
    metrics: Thresholds = Field(default_factory=dict)
    slices: Texts = ()
    custom: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    min_rows: int = Field(default=100, ge=1)
    slice_min_rows: int = Field(default=30, ge=1)
    max_latency_ms: float | None = Field(default=None, gt=0)
    max_memory_mb: float | None = Field(default=None, gt=0)
    fairness: tuple[Fairness, ...] = ()
    positive: str | int | float | bool | None = None

    @field_validator("metrics")
    @classmethod
    def _possible(cls, metrics: Thresholds) -> Thresholds:
        return possible(metrics)

    @model_validator(mode="after")
    def _measures(self) -> Self:
        if self.label is None and (self.metrics or self.slices or self.fairness):
            raise ValueError("metrics, slices and fairness compare predictions with a label: name it")
        if self.label is not None and not self.metrics:
            raise ValueError("a label is there to be compared with: name one of the metrics at least, or leave label out")
        return self


class Replay(Shape):
    """The last days of logged traffic, through the new version and the champion.

    `when_missing` says what too little traffic, or too few labels, mean. Without `labels`, those of the model's monitor.
    """

    days: float = Field(default=7, gt=0)
    min_rows: int = Field(default=100, ge=1)
    metrics: Thresholds = Field(default_factory=dict)
    max_prediction_shift: float | None = Field(default=None, ge=0)
    when_missing: Literal["hold", "pass"] = "hold"
    labels: Labels | None = None

    @field_validator("metrics")
    @classmethod
    def _possible(cls, metrics: Thresholds) -> Thresholds:
        return possible(metrics)


class Artifact(Shape):
    """What is asked of a version's files: imports of pickles that are trusted besides, and whether its requirements resolve."""

    pickles: Literal["refuse", "warn"] = "refuse"
    trusted: Texts = ()
    requirements: Literal["resolve", "skip"] = "resolve"


class Features(Shape):
    """How long ago the feature tables that a version looks up may have been written last."""

    max_age: Duration | None = None


class Approval(Shape):
    """Who must agree; with `separation_of_duties` it cannot be who made the version."""

    by: Texts = Field(min_length=1)
    separation_of_duties: bool = False


def possible(metrics: Thresholds) -> Thresholds:
    """The thresholds. Raises ValueError for some that nothing measures, that nothing can meet, or that ask nothing."""
    for name, asked in metrics.items():
        if name not in METRICS and name not in SYNONYMS:
            near = nearest(name, METRICS)
            known = f"did you mean {near!r}?" if near else f"they are {', '.join(sorted(METRICS))}; custom checks ask for others"
            raise ValueError(f"{name} is no metric that gates measure; {known}")
        if asked.min is not None and asked.max is not None and asked.min > asked.max:
            raise ValueError(f"{name} can not be at least {asked.min} and at most {asked.max}")
        tolerances = (asked.not_worse_than_champion_by, asked.slices_not_worse_by)
        if any(tolerance is not None and tolerance < 0 for tolerance in tolerances):
            raise ValueError(f"{name} may fall behind by 0 or more, not by less")
        limits = (asked.min, asked.max, asked.not_worse_than_champion_by, asked.slices_min, asked.slices_max)
        if all(limit is None for limit in limits):
            raise ValueError(f"{name} needs min, max or not_worse_than_champion_by")
        if asked.confident and asked.not_worse_than_champion_by is None:
            raise ValueError(f"{name} is confident about nothing: it needs not_worse_than_champion_by")
    return metrics


def none(value: Any) -> Any:
    """The word none as nothing."""
    return None if value == "none" else value


OrNone = BeforeValidator(none)
