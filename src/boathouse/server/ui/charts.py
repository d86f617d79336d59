"""Charts over a monitor's findings, as Vega-Lite in JSON; the browser draws them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from boathouse.server.ui.gold import Findings, above_noise

_HEIGHT = 190
_SCHEMES = {"good": "#2a7f62", "main": "#2f6f9f", "other": "#c2792b", "bad": "#c0392b", "quiet": "#8a94a0"}
_LABELS = {
    "roc_auc_score": "AUC", "log_loss": "log loss", "brier": "Brier score", "accuracy_score": "accuracy",
    "root_mean_squared_error": "RMSE", "mean_average_error": "MAE", "r2_score": "R²",
    "calibration_error": "calibration error", "mean_absolute_percentage_error": "MAPE",
}  # fmt: skip


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
    found = {
        metric: _lines(rows, {metric: label(metric)}, markers, limits, findings)
        for metric in quality_metrics(findings)[:4]
    }
    if any(r["mean_label"] is not None for r in rows):
        named = {
            "mean_prediction": "predicted",
            "mean_label": "realised",
            "early": "predicted, labels to come",
        }
        seen = [{**r, "early": _early(r, findings)} for r in rows]
        found["rate"] = _lines(seen, named, markers, limits, findings)
    found["volume"] = _volume(findings, markers)
    if findings.drift:
        found["drift"] = _heat(findings)
    return {name: chart.to_dict() for name, chart in found.items()}


def _early(row: Mapping[str, Any], findings: Findings) -> float | None:
    """The mean of all predictions, in a window that waits for labels."""
    return findings.predictions.get(row["start"]) if (row["num_labels"] or 0) < row["count"] else None


def _lines(
    rows: Iterable[Mapping[str, Any]],
    named: Mapping[str, str],
    markers: Sequence[Marker],
    limits: Sequence[Limit],
    findings: Findings,
) -> Any:
    import altair as alt

    # windows without a value stay in, so that all charts span the same time
    values = [
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
    colours = [_SCHEMES[k] for k in ("main", "other", "quiet")][: len(named)]
    legend = alt.Legend(orient="top", title=None) if len(named) > 1 else None
    line = (
        alt.Chart(alt.InlineData(values=values))
        .mark_line(point=alt.OverlayMarkDef(size=24), strokeWidth=2)
        .encode(
            x=_time(),
            y=alt.Y("value:Q", title=None).scale(zero=False, nice=True, padding=4),
            color=alt.Color("metric:N", legend=legend).scale(domain=list(named.values()), range=colours),
            tooltip=[
                alt.Tooltip("start:T", title="window from", format="%Y-%m-%d %H:%M"), "metric:N",
                alt.Tooltip("value:Q", format=".4f"), alt.Tooltip("count:Q", format=","),
                alt.Tooltip("labels:Q", format=","),
            ],
        )
    )  # fmt: skip
    mine = [x for x in limits if set(x.columns) & set(named)]
    layers = [*_bands(mine, findings), line, *_thresholds(mine), *_rules(markers)]
    return alt.layer(*layers).properties(width="container", height=_HEIGHT)


def _volume(findings: Findings, markers: Sequence[Marker]) -> Any:
    import altair as alt

    values = [
        {"start": _at(r["start"]), "end": _at(r["end"]), "kind": kind, "rows": r[column] or 0}
        for r in findings.together
        for kind, column in (("predictions", "count"), ("with a label", "num_labels"))
    ]
    domain = ["predictions", "with a label"]
    bars = (
        alt.Chart(alt.InlineData(values=values))
        .mark_rect(stroke=None)
        .encode(
            x=_time(), x2="end:T", y=alt.Y("rows:Q", title=None), y2=alt.datum(0),
            color=alt.Color("kind:N", legend=alt.Legend(orient="top", title=None), sort=domain)
            .scale(domain=domain, range=["#b9c9d6", _SCHEMES["main"]]),
            tooltip=[alt.Tooltip("start:T", title="window from", format="%Y-%m-%d %H:%M"), "kind:N",
                     alt.Tooltip("rows:Q", format=",")],
        )
    )  # fmt: skip
    return alt.layer(bars, *_rules(markers)).properties(width="container", height=_HEIGHT)


def _heat(findings: Findings) -> Any:
    """PSI by column and window; below the noise floor a value says nothing and stays pale."""
    import altair as alt

    values = [
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
    worst: dict[str, float] = {}
    for v in values:
        worst[v["column"]] = max(worst.get(v["column"], 0), v["shown"])
    order = sorted(worst, key=lambda c: -worst[c])
    scale = {
        "domain": [0, 0.1, 0.25, 1],
        "range": ["#e8c77a1c", "#e8c77a", "#d9783c", "#9c1f2f"],
        "clamp": True,
    }
    return (
        alt.Chart(alt.InlineData(values=values))
        .mark_rect(stroke=None)
        .encode(
            x=_time(),
            x2="end:T",
            y=alt.Y("column:N", title=None, sort=order),
            color=alt.Color(
                "shown:Q", legend=alt.Legend(title="PSI", orient="top", gradientLength=160)
            ).scale(**scale),
            tooltip=[
                "column:N",
                alt.Tooltip("start:T", title="window from", format="%Y-%m-%d %H:%M"),
                alt.Tooltip("psi:Q", title="PSI", format=".3f"),
                alt.Tooltip("noise:Q", title="noise floor", format=".3f"),
                alt.Tooltip("js:Q", title="JS distance", format=".3f"),
            ],
        )
        .properties(width="container", height=17 * len(order))
    )


def _bands(limits: Sequence[Limit], findings: Findings) -> list[Any]:
    """The windows in which an alert's condition held."""
    import altair as alt

    ends = {w["start"]: w["end"] for w in findings.together}
    values = [
        {"start": _at(at), "end": _at(ends[at]), "alert": x.alert}
        for x in limits
        for at in x.broken
        if at in ends
    ]
    if not values:
        return []
    band = alt.Chart(alt.InlineData(values=values)).mark_rect(color=_SCHEMES["bad"], opacity=0.13)
    return [band.encode(x=_time(), x2="end:T", tooltip=alt.Tooltip("alert:N", title="alert fired"))]


def _thresholds(limits: Sequence[Limit]) -> list[Any]:
    import altair as alt

    values = [{"limit": x.value, "alert": x.alert} for x in limits if x.value is not None]
    if not values:
        return []
    rule = alt.Chart(alt.InlineData(values=values)).mark_rule(color=_SCHEMES["bad"], strokeDash=[5, 4])
    return [rule.encode(y="limit:Q", tooltip=["alert:N", alt.Tooltip("limit:Q", title="threshold")])]


def _rules(markers: Sequence[Marker]) -> list[Any]:
    import altair as alt

    if not markers:
        return []
    values = [{"start": _at(m.at), "label": m.label, "told": m.told} for m in markers]
    base = alt.Chart(alt.InlineData(values=values)).encode(
        x=_time(), tooltip=alt.Tooltip("told:N", title="promotion")
    )
    words = base.mark_text(align="left", dx=3, baseline="top", fontSize=10, color=_SCHEMES["good"])
    return [
        base.mark_rule(color=_SCHEMES["good"], strokeWidth=1.5),
        words.encode(text="label:N", y=alt.value(1)),
    ]


def _time() -> Any:
    import altair as alt

    return alt.X("start:T", title=None, axis=alt.Axis(labelOverlap=True, tickCount=8)).scale(type="utc")


def _at(moment: datetime) -> str:
    return moment.isoformat()
