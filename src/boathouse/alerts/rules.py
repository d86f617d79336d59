"""Rules over the gold tables: a condition, and how many windows in a row must meet it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from boathouse.alerts.condition import Condition, Read, parse_condition
from boathouse.errors import InvalidInput
from boathouse.monitoring import QUALITY, TABLE, Granularity, parse_granularity

State = Literal["ok", "firing", "no_data"]
Row = Mapping[str, Any]

# How many rows there are is itself what these say: too few of them must not hide it.
_COUNTS = ("count", "num_labels", "n_window", "n_baseline", "count_delta", "non_null_columns_delta")


@dataclass(frozen=True)
class Rule:
    """Fires when the newest `windows` windows with data all meet `condition`.

    It reads the rows of one `granularity` (None: snapshots), `column`, `slice` (key and value; None: the
    whole table) and `model` ('*': all together), and of drift those of `drift_type`. A metric over fewer
    than `min_rows` rows, labelled ones where it needs labels, is no data. Raises InvalidInput.
    """

    name: str
    condition: str
    windows: int = 2
    granularity: str | None = "1 week"
    slice: tuple[str, str] | None = None
    column: str = TABLE
    min_rows: int = 100
    model: str = "*"
    model_id_col: str = "model_version"
    drift_type: str = "BASELINE"
    parsed: Condition = field(init=False, repr=False, compare=False)
    width: Granularity | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.windows < 1:
            raise InvalidInput(f"the rule {self.name} has windows={self.windows}; it needs at least 1")
        object.__setattr__(self, "parsed", parse_condition(self.condition))
        object.__setattr__(self, "width", parse_granularity(self.granularity) if self.granularity else None)

    def covers(self, row: Row) -> bool:
        """Whether a row of a gold table is one the rule reads."""
        granularity = row.get("granularity")
        wanted = self.slice or (None, None)
        return (
            bool(row.get("window"))
            and (str(parse_granularity(granularity)) if granularity else None)
            == (self.width and str(self.width))
            and row.get("column_name") == self.column
            and (row.get("slice_key"), row.get("slice_value")) == tuple(wanted)
            and row.get(self.model_id_col, "*") == self.model
            and row.get("log_type", "INPUT") == "INPUT"
            and row.get("drift_type", self.drift_type) == self.drift_type
        )


class Window(NamedTuple):
    """One window a rule looked at: the metrics it read; `violated` is None without data."""

    start: datetime
    values: dict[str, float | None]
    violated: bool | None


@dataclass(frozen=True)
class Verdict:
    """What a rule says now, with its reason in words and the windows behind it, oldest first."""

    state: State
    windows: list[Window]
    reason: str


def evaluate(rule: Rule, rows: Iterable[Row]) -> Verdict:
    """Judge a rule over rows of the profile and drift tables (dicts), in any order; others are ignored.

    Rows of one window are read as one. Windows without data are passed over: they neither break a run of
    violations nor count in it. With fewer than `rule.windows` windows nothing fires.
    """
    merged: dict[datetime, dict[str, Any]] = {}
    for row in rows:
        if rule.covers(row):
            known = {name: value for name, value in row.items() if value is not None}
            merged.setdefault(row["window"]["start"], {}).update(known)
    reads = {start: _reader(merged[start], rule.min_rows) for start in sorted(merged)}
    windows = [_window(rule.parsed, start, read) for start, read in reads.items()]
    judged = [window for window in windows if window.violated is not None]
    if not judged:
        names = ", ".join(rule.parsed.metrics)
        return Verdict("no_data", windows, f"no window has {names} over at least {rule.min_rows} rows")
    run = _newest_run(judged)
    firing = len(run) >= rule.windows
    shown = run[-rule.windows :] if run else judged[-1:]
    reason = f"{rule.parsed.describe(reads[judged[-1].start])} {_when(rule, shown)}"
    return Verdict("firing" if firing else "ok", windows, reason)


class Step(NamedTuple):
    """One window with data, what the rule says once it has come, and what that does to an incident: "" for nothing."""

    window: Window
    state: State
    happens: Literal["", "opens", "goes on", "closes"]


def steps(rule: Rule, verdict: Verdict) -> list[Step]:
    """What an alert would have said and done, window by window from the first, had each been judged as it came."""
    found: list[Step] = []
    run, open_ = 0, False
    for window in verdict.windows:
        if window.violated is None:
            continue
        run = run + 1 if window.violated else 0
        firing = run >= rule.windows
        happens: Literal["", "opens", "goes on", "closes"] = (
            ("goes on" if open_ else "opens") if firing else ("closes" if open_ else "")
        )
        found.append(Step(window, "firing" if firing else "ok", happens))
        open_ = firing
    return found


def _window(condition: Condition, start: datetime, read: Read) -> Window:
    values = {name: read(column) for name, column in condition.metrics.items()}
    return Window(start, values, condition.holds(read))


def _reader(row: Row, min_rows: int) -> Read:
    """Metrics of one window's row; those over too few rows are none."""

    def read(column: str) -> float | None:
        name, _, part = column.partition(".")
        value = row.get(name)
        if isinstance(value, Mapping):
            value = value.get(part)
        behind = row.get("num_labels") if name in QUALITY else row.get("count", row.get("n_window"))
        enough = name in _COUNTS or (behind or 0) >= min_rows
        return float(value) if value is not None and enough else None

    return read


def _newest_run(judged: Sequence[Window]) -> list[Window]:
    """The violated windows since the last one that was not, oldest first."""
    run: list[Window] = []
    for window in reversed(judged):
        if not window.violated:
            break
        run.insert(0, window)
    return run


def _when(rule: Rule, shown: Sequence[Window]) -> str:
    timed = rule.width is None or rule.width.unit in ("minute", "hour")
    dates = ", ".join(f"{window.start:{'%Y-%m-%d %H:%M' if timed else '%Y-%m-%d'}}" for window in shown)
    one, many = _words(rule.width)
    if rule.windows == 1 or not shown[-1].violated:
        return f"in the {one} of {dates}"
    count = f"{rule.windows} consecutive" if len(shown) == rule.windows else f"{len(shown)} of {rule.windows}"
    return f"in {count} {many} ({dates})"


def _words(width: Granularity | None) -> tuple[str, str]:
    if width is None:
        return "snapshot", "snapshots"
    return (width.unit, f"{width.unit}s") if width.count == 1 else (f"{width} window", f"windows of {width}")
