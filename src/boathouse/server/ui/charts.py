"""Charts over a monitor's findings, as Vega-Lite in JSON; the browser draws them."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from boathouse.server.ui.gold import Findings, above_noise

_HEIGHT = 190
_MAIN, _OTHER, _QUIET, _PALE = "#2f6f9f", "#c2792b", "#8a94a0", "#b9c9d6"
_GOOD, _BAD = "#2a7f62", "#c0392b"
_HEAT = ((0, "#e8c77a1c"), (0.1, "#e8c77a"), (0.25, "#d9783c"), (1, "#9c1f2f"))
_LABELS = {
    "roc_auc_score": "AUC", "log_loss": "log loss", "brier": "Brier score", "accuracy_score": "accuracy",
    "root_mean_squared_error": "RMSE", "mean_average_error": "MAE", "r2_score": "R²",
    "calibration_error": "calibration error", "mean_absolute_percentage_error": "MAPE",
}  # fmt: skip
_RATES = {"mean_prediction": "predicted", "mean_label": "realised", "early": "predicted, labels to come"}
_VOLUMES = {"count": "rows", "num_labels": "with a label"}
_QUALITY_CHARTS = 4

Data = dict[str, list[dict[str, Any]]]
"""The rows of a chart's layers by name; kept out of Altair, which copies what it holds again and again."""


@dataclass(frozen=True)
class Marker:
    """A moment to be seen in every chart: a version took over."""

    at: datetime
    label: str
    told: str


@dataclass(frozen=True)
class Limit:
    """An alert's threshold of one metric, and the windows that broke it."""

    alert: str
    columns: tuple[str, ...]
    value: float | None
    broken: tuple[datetime, ...]


def quality_metrics(findings: Findings) -> list[str]:
    """The metrics of quality that there are, the telling ones first."""
    return [m for m in _LABELS if any(w[m] is not None for w in findings.together)]


def label(metric: str) -> str:
    """A metric's name in words."""
    return _LABELS.get(metric, metric.replace("_", " "))


def charts(findings: Findings, markers: Sequence[Marker], limits: Sequence[Limit]) -> dict[str, Any]:
    """Chart's name -> Vega-Lite."""
    rows = findings.together
    named = {metric: {metric: label(metric)} for metric in quality_metrics(findings)[:_QUALITY_CHARTS]}
    if any(r["mean_label"] is not None for r in rows):
        named["rate"] = _RATES
        rows = [{**r, "early": _early(r, findings)} for r in rows]
    promoted = _marker_rows(markers)
    found = {
        key: _chart("lines", tuple(names.values()), {
            "lines": _line_rows(rows, names), **promoted, **_limit_rows(findings, limits, names),
        })
        for key, names in named.items()
    }  # fmt: skip
    found["volume"] = _chart("volume", tuple(_VOLUMES.values()), {"volume": _volume_rows(rows), **promoted})
    if findings.drift:
        cells = _drift_rows(findings)
        worst: dict[str, float] = {}
        for cell in cells:
            worst[cell["column"]] = max(worst.get(cell["column"], 0), cell["shown"])
        order = tuple(sorted(worst, key=lambda column: -worst[column]))
        found["drift"] = _chart("drift", order, {"drift": cells})
    return found


def _chart(kind: str, names: tuple[str, ...], data: Data) -> dict[str, Any]:
    there = {name: rows for name, rows in data.items() if rows}
    return {**_spec(kind, names, tuple(name for name in _LAYERS if name in there)), "datasets": there}


@functools.lru_cache(maxsize=128)
def _spec(kind: str, names: tuple[str, ...], extras: tuple[str, ...]) -> dict[str, Any]:
    """A chart without its rows: its main layer, and layers for alerts and promotions where there are some."""
    import altair as alt
    from altair.utils.schemapi import debug_mode

    main = {"lines": _lines, "volume": _volume, "drift": _heat}[kind]
    height = 17 * len(names) if kind == "drift" else _HEIGHT
    with debug_mode(False):  # checking against the whole schema takes ten times what drawing does
        layers = [main(names), *(layer for name in extras for layer in _LAYERS[name]())]
        # what an alert marks lies below the rest
        layers.sort(key=lambda layer: layer.data.name != "broken")
        whole = alt.layer(*layers).properties(width="container", height=height)
        spec: dict[str, Any] = whole.to_dict(validate=False)
    return spec


def _line_rows(rows: Iterable[Mapping[str, Any]], named: Mapping[str, str]) -> list[dict[str, Any]]:
    # windows without a value stay in, so that all charts span the same time
    return [
        {
            "start": _at(r["start"]),
            "metric": text,
            "value": r[name],
            "count": r["count"],
            "labels": r["num_labels"],
        }
        for r in rows
        for name, text in named.items()
    ]


def _volume_rows(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"start": _at(r["start"]), "end": _at(r["end"]), "kind": kind, "rows": r[column] or 0}
        for r in rows
        for column, kind in _VOLUMES.items()
    ]


def _drift_rows(findings: Findings) -> list[dict[str, Any]]:
    return [
        {
            "start": _at(r["start"]),
            "end": _at(r["end"]),
            "column": r["column_name"],
            "psi": r["population_stability_index"],
            "noise": r["noise_floor"],
            "js": r["js_distance"] if r["js_distance"] is not None else r["js_distance_binned"],
            "shown": above_noise(r),
        }
        for r in findings.drift
        if r["population_stability_index"] is not None
    ]


def _marker_rows(markers: Sequence[Marker]) -> Data:
    return {"markers": [{"start": _at(m.at), "label": m.label, "told": m.told} for m in markers]}


def _limit_rows(findings: Findings, limits: Sequence[Limit], named: Mapping[str, str]) -> Data:
    ends = {w["start"]: w["end"] for w in findings.together}
    mine = [x for x in limits if set(x.columns) & set(named)]
    broken = [(at, x.alert) for x in mine for at in x.broken if at in ends]
    return {
        "broken": [{"start": _at(at), "end": _at(ends[at]), "alert": alert} for at, alert in broken],
        "limits": [{"limit": x.value, "alert": x.alert} for x in mine if x.value is not None],
    }


def _early(row: Mapping[str, Any], findings: Findings) -> float | None:
    """The mean of all predictions, in a window that waits for labels."""
    return findings.predictions.get(row["start"]) if (row["num_labels"] or 0) < row["count"] else None


def _lines(names: tuple[str, ...]) -> Any:
    import altair as alt

    colours = [_MAIN, _OTHER, _QUIET][: len(names)]
    return _on("lines").mark_line(point=alt.OverlayMarkDef(size=24), strokeWidth=2).encode(
        x=_time(),
        y=alt.Y("value:Q", title=None).scale(zero=False, nice=True, padding=4),
        color=alt.Color("metric:N", legend=_legend() if len(names) > 1 else None)
        .scale(domain=list(names), range=colours),
        tooltip=[
            _window_tip(), alt.Tooltip("metric:N"), alt.Tooltip("value:Q", format=".4f"),
            alt.Tooltip("count:Q", format=","), alt.Tooltip("labels:Q", format=","),
        ],
    )  # fmt: skip


def _volume(names: tuple[str, ...]) -> Any:
    import altair as alt

    colour = alt.Color("kind:N", legend=_legend(), sort=list(names))
    return _on("volume").mark_rect(stroke=None).encode(
        x=_time(), x2=alt.X2("end:T"), y=alt.Y("rows:Q", title=None), y2=alt.Y2Datum(0),
        color=colour.scale(domain=list(names), range=[_PALE, _MAIN]),
        tooltip=[_window_tip(), alt.Tooltip("kind:N"), alt.Tooltip("rows:Q", format=",")],
    )  # fmt: skip


def _heat(order: tuple[str, ...]) -> Any:
    """PSI by column and window; below the noise floor a value says nothing and stays pale."""
    import altair as alt

    colour = alt.Color("shown:Q", legend=alt.Legend(title="PSI", orient="top", gradientLength=160))
    return _on("drift").mark_rect(stroke=None).encode(
        x=_time(), x2=alt.X2("end:T"), y=alt.Y("column:N", title=None, sort=list(order)),
        color=colour.scale(domain=[at for at, _ in _HEAT], range=[c for _, c in _HEAT], clamp=True),
        tooltip=[
            alt.Tooltip("column:N"), _window_tip(), alt.Tooltip("psi:Q", title="PSI", format=".3f"),
            alt.Tooltip("noise:Q", title="noise floor", format=".3f"),
            alt.Tooltip("js:Q", title="JS distance", format=".3f"),
        ],
    )  # fmt: skip


def _broken() -> list[Any]:
    """The windows in which an alert's condition held."""
    import altair as alt

    band = _on("broken").mark_rect(color=_BAD, opacity=0.13)
    tip = alt.Tooltip("alert:N", title="alert fired")
    return [band.encode(x=_time(), x2=alt.X2("end:T"), tooltip=tip)]


def _thresholds() -> list[Any]:
    import altair as alt

    tips = [alt.Tooltip("alert:N"), alt.Tooltip("limit:Q", title="threshold")]
    rule = _on("limits").mark_rule(color=_BAD, strokeDash=[5, 4])
    return [rule.encode(y=alt.Y("limit:Q"), tooltip=tips)]


def _promotions() -> list[Any]:
    import altair as alt

    base = _on("markers").encode(x=_time(), tooltip=alt.Tooltip("told:N", title="promotion"))
    words = base.mark_text(align="left", dx=3, baseline="top", fontSize=10, color=_GOOD)
    line = base.mark_rule(color=_GOOD, strokeWidth=1.5)
    return [line, words.encode(text=alt.Text("label:N"), y=alt.YValue(1))]


_LAYERS = {"broken": _broken, "limits": _thresholds, "markers": _promotions}


def _on(name: str) -> Any:
    import altair as alt

    return alt.Chart(alt.NamedData(name=name))


def _time() -> Any:
    import altair as alt

    axis = alt.Axis(labelOverlap=True, tickCount=8)
    return alt.X("start:T", title=None, axis=axis).scale(type="utc")


def _window_tip() -> Any:
    import altair as alt

    return alt.Tooltip("start:T", title="window from", format="%Y-%m-%d %H:%M")


def _legend() -> Any:
    import altair as alt

    return alt.Legend(orient="top", title=None)


def _at(moment: datetime) -> str:
    return moment.isoformat()
