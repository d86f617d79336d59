"""What a monitor found: its two gold tables, read at once under the caller's grants and masks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from boathouse.identity import Identity
from boathouse.monitoring import QUALITY, TABLE, gold_of, parse_granularity
from boathouse.names import parse
from boathouse.platform import Platform

ALL = "*"
"""The model of rows that speak of all versions together."""

METRICS = ("count", *(name for name, kind in QUALITY.items() if str(kind) in ("double", "int64")))
_DRIFT = (
    "population_stability_index",
    "noise_floor",
    "js_distance",
    "js_distance_binned",
    "avg_delta",
    "n_window",
)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """What an address asks to see: a granularity, and a slice as `slice_name` writes it."""

    granularity: str = ""
    slice: str = ""


@dataclass(frozen=True)
class Choice:
    """Which rows are shown."""

    granularity: str | None
    slice: tuple[str, str] | None = None

    def rows(self, found: pa.Table) -> pa.Table:
        """The rows of it."""
        key, value = self.slice or (None, None)
        wanted = {"granularity": self.granularity, "slice_key": key, "slice_value": value}
        for column, text in wanted.items():
            there = found.column(column)
            found = found.filter(pc.is_null(there) if text is None else pc.equal(there, text))
        return found


@dataclass(frozen=True)
class Findings:
    """Of the chosen granularity and slice, oldest window first.

    `windows` are rows of the whole table by model version (ALL: together), `predictions` the mean score of
    every prediction, labelled or not, by window; `drift` is against the baseline, by window and column.
    """

    offered: tuple[Choice, ...]
    choice: Choice
    windows: Sequence[Row]
    predictions: Mapping[datetime, float]
    drift: Sequence[Row]

    @property
    def listed(self) -> list[Row]:
        """Windows, newest first; by version too where several answered. `versions` names them."""
        found: dict[datetime, list[Row]] = {}
        for window in self.windows:
            found.setdefault(window["start"], []).append(window)
        rows: list[Row] = []
        for start in sorted(found, reverse=True):
            versions = sorted(str(w["model"]) for w in found[start] if w["model"] != ALL)
            rows += [
                {**w, "versions": versions if w["model"] == ALL else [w["model"]]}
                for w in sorted(found[start], key=lambda w: str(w["model"]))
                if w["model"] == ALL or len(versions) > 1
            ]
        return rows

    @property
    def together(self) -> list[Row]:
        """Windows over all model versions."""
        return [w for w in self.windows if w["model"] == ALL]


def above_noise(row: Row) -> float:
    """A drift row's PSI; 0 below its noise floor, where it says nothing."""
    psi = row["population_stability_index"] or 0.0
    return float(psi) if psi > (row["noise_floor"] or 0) else 0.0


def tables(environment: str, monitor: Mapping[str, Any]) -> tuple[str, str]:
    """The full names of a monitor's profile and drift tables."""
    profile, drift = gold_of(monitor)
    return str(parse(profile, environment)), str(parse(drift, environment))


def read(
    who: Identity,
    platform: Platform,
    environment: str,
    monitor: Mapping[str, Any],
    asked: Asked,
) -> Findings:
    """What a monitor found. Raises NotFound before its first refresh, NotPermitted."""
    profile, _ = tables(environment, monitor)
    known = {c.name for c in platform.catalog.table(profile).columns}
    # one query and one engine: opening and binding cost more than reading
    with platform.sql.run(who, _query(environment, monitor, known), environment) as result:
        rows = result.to_arrow()
    parts = {part: rows.filter(pc.equal(rows.column("part"), part)) for part in ("windows", "means", "drift")}
    offered = _offered(parts["windows"])
    choice = _chosen(offered, asked)
    found = {part: _ordered(choice.rows(table)) for part, table in parts.items()}
    means = {row["start"]: row["avg"] for row in found["means"]}
    return Findings(offered, choice, found["windows"], means, found["drift"])


def _query(environment: str, monitor: Mapping[str, Any], known: Collection[str]) -> str:
    log = monitor.get("inference_log") or {}
    column = log.get("model_id_col")
    model = f'"{column}"' if column in known else f"'{ALL}'"
    score = _text(str(log.get("prediction_proba_col") or log.get("prediction_col") or ""))
    # when a label comes and which version answers say nothing of the inputs
    apart = ", ".join(_text(str(log.get(c) or "")) for c in ("timestamp_col", "label_col", "model_id_col"))
    keys = (
        f"granularity, slice_key, slice_value, {model} AS model, column_name,"
        ' struct_extract("window", \'start\') AS start, struct_extract("window", \'end\') AS "end"'
    )
    profile, drift = (".".join(f'"{level}"' for level in n.split(".")) for n in tables(environment, monitor))
    measured, drifted = ", ".join((*METRICS, "avg")), ", ".join(_DRIFT)
    no_drift = ", ".join(f"NULL AS {name}" for name in _DRIFT)
    no_measure = ", ".join(f"NULL AS {name}" for name in (*METRICS, "avg"))
    return (
        f"SELECT CASE column_name WHEN '{TABLE}' THEN 'windows' ELSE 'means' END AS part, {keys}, {measured},"
        f" {no_drift} FROM {profile} WHERE log_type = 'INPUT'"
        f" AND (column_name = '{TABLE}' OR column_name = {score} AND {model} = '{ALL}')"
        f" UNION ALL SELECT 'drift' AS part, {keys}, {no_measure}, {drifted} FROM {drift}"
        f" WHERE drift_type = 'BASELINE' AND {model} = '{ALL}' AND column_name NOT IN ('{TABLE}', {apart})"
    )


def _offered(windows: pa.Table) -> tuple[Choice, ...]:
    keys = ["granularity", "slice_key", "slice_value"]
    choices = [
        Choice(r["granularity"], (r["slice_key"], r["slice_value"]) if r["slice_key"] is not None else None)
        for r in windows.group_by(keys).aggregate([]).to_pylist()
    ]
    return tuple(sorted(choices, key=lambda c: (c.granularity or "", c.slice or ("", ""))))


def _chosen(offered: Sequence[Choice], asked: Asked) -> Choice:
    """What was asked for; else the longest granularity and the whole table."""
    known = [c.granularity for c in offered if c.granularity]
    wanted = asked.granularity if asked.granularity in known else max(known, key=_width, default=None)
    mine = (c for c in offered if c.granularity == wanted and slice_name(c) == asked.slice)
    return next(mine, Choice(wanted))


def slice_name(choice: Choice) -> str:
    """A slice as addresses write it."""
    return f"{choice.slice[0]}={choice.slice[1]}" if choice.slice else ""


def _width(granularity: str) -> timedelta:
    return parse_granularity(granularity).width


def _ordered(rows: pa.Table) -> list[Row]:
    found: list[Row] = rows.to_pylist()
    return sorted((r for r in found if r["start"]), key=lambda r: r["start"])


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
