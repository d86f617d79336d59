"""What a monitor found: its two gold tables, read as one relation under the caller's grants and masks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from boathouse.identity import Identity
from boathouse.lake import Relation
from boathouse.monitoring import QUALITY, TABLE, parse_granularity
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

    @property
    def where(self) -> str:
        """The rows, in SQL."""
        key, value = self.slice or (None, None)
        wanted = {"granularity": self.granularity, "slice_key": key, "slice_value": value}
        return " AND ".join(_is(column, text) for column, text in wanted.items())


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
    watched = str(parse(str(monitor["table_name"]), environment))
    return f"{watched}_profile_metrics", f"{watched}_drift_metrics"


def read(
    who: Identity,
    platform: Platform,
    environment: str,
    monitor: Mapping[str, Any],
    asked: Asked,
) -> Findings:
    """What a monitor found. Raises NotFound before its first refresh, NotPermitted."""
    log = monitor.get("inference_log") or {}
    with _both(who, platform, environment, monitor) as gold:
        column = log.get("model_id_col")
        model = f'"{column}"' if column in gold.columns else f"'{ALL}'"
        profile = gold.filter("part = 'profile' AND log_type = 'INPUT'")
        offered = _offered(profile)
        choice = _chosen(offered, asked)
        ends = ("struct_extract(\"window\", 'start') AS start", 'struct_extract("window", \'end\') AS "end"')
        mine = profile.filter(choice.where)
        windows = mine.filter(f"column_name = '{TABLE}'").select(*ends, f"{model} AS model", *METRICS)
        score = _text(str(log.get("prediction_proba_col") or log.get("prediction_col") or ""))
        means = mine.filter(f"column_name = {score} AND {model} = '{ALL}'").select(*ends, "avg")
        # when a label comes and which version answers say nothing of the inputs
        apart = ", ".join(
            _text(str(log.get(c) or "")) for c in ("timestamp_col", "label_col", "model_id_col")
        )
        against = f"part = 'drift' AND drift_type = 'BASELINE' AND {model} = '{ALL}'"
        against += f" AND column_name NOT IN ('{TABLE}', {apart})"
        drift = gold.filter(f"{against} AND {choice.where}").select(*ends, "column_name", *_DRIFT)
        return Findings(
            offered,
            choice,
            _ordered(windows),
            {r["start"]: r["avg"] for r in means.to_dicts()},
            _ordered(drift),
        )


@contextmanager
def _both(
    who: Identity, platform: Platform, environment: str, monitor: Mapping[str, Any]
) -> Iterator[Relation]:
    profile, drift = (".".join(f'"{level}"' for level in n.split(".")) for n in tables(environment, monitor))
    query = (
        f"SELECT 'profile' AS part, * FROM {profile} UNION ALL BY NAME SELECT 'drift' AS part, * FROM {drift}"
    )
    with platform.sql.run(who, query, environment) as relation:
        yield relation


def _offered(profile: Relation) -> tuple[Choice, ...]:
    keys = ["granularity", "slice_key", "slice_value"]
    whole = profile.filter(f"column_name = '{TABLE}'").select(*keys).to_arrow()
    found = whole.group_by(keys).aggregate([]).to_pylist()
    choices = {
        Choice(r["granularity"], (r["slice_key"], r["slice_value"]) if r["slice_key"] is not None else None)
        for r in found
    }
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


def _ordered(rows: Relation) -> list[Row]:
    return sorted((r for r in rows.to_dicts() if r["start"]), key=lambda r: r["start"])


def _is(column: str, value: str | None) -> str:
    return f"{column} IS NULL" if value is None else f"{column} = {_text(value)}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
