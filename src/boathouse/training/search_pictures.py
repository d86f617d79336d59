"""Pictures of a search for parameters: how its best value came, and which parameters gave which value."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def history(trials: Sequence[Any], maximize: bool, path: Path) -> None:
    """Each trial's value, and the best so far, as SVG or PNG by the file's name."""
    import altair as alt

    rows: list[dict[str, float]] = []
    best: float | None = None
    for trial in trials:
        best = trial.value if best is None else (max if maximize else min)(best, trial.value)
        rows.append({"trial": trial.number, "value": trial.value, "best so far": best})
    base = alt.Chart(alt.Data(values=rows)).encode(x=alt.X("trial:Q", title="trial"))
    points = base.mark_point(filled=True, opacity=0.6).encode(y=alt.Y("value:Q", title="objective", scale=alt.Scale(zero=False)))
    line = base.mark_line(interpolate="step-after").encode(y=alt.Y("best so far:Q", title="objective"))
    (points + line).properties(width=560, height=300).save(str(path))


def parallel_coordinates(trials: Sequence[Any], path: Path) -> None:
    """A line for each trial through all its parameters, coloured by its value, as SVG or PNG by the file's name."""
    import altair as alt

    axes = {name: _axis([t.params[name] for t in trials if name in t.params]) for name in _names(trials)}
    rows = [
        {"trial": t.number, "objective": t.value, "parameter": name, "place": axes[name][value], "shown": _shown(value)}
        for t in trials for name, value in t.params.items()
    ]  # fmt: skip
    x = alt.X("parameter:N", title=None, sort=list(axes), axis=alt.Axis(labelAngle=0, grid=True))
    y = alt.Y("place:Q", title="lowest to highest", axis=alt.Axis(labels=False, ticks=False, grid=False))
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y)
    lines = base.mark_line(opacity=0.6).encode(
        detail="trial:N", color=alt.Color("objective:Q", scale=alt.Scale(scheme="viridis")),
    )  # fmt: skip
    ends = [
        {"parameter": name, "place": place, "shown": _shown(value)}
        for name, places in axes.items() for value, place in places.items() if place in (0.0, 1.0) or isinstance(value, str)
    ]  # fmt: skip
    texts = alt.Chart(alt.Data(values=ends)).mark_text(align="left", dx=5).encode(x=x, y=y, text="shown:N")
    (lines + texts).properties(width=max(560, 120 * len(axes)), height=300).save(str(path))


def _names(trials: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(name for t in trials for name in t.params))


def _axis(values: Sequence[Any]) -> Mapping[Any, float]:
    """Each value's place between 0 and 1: numbers by size, others one after another."""
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        low, high = min(values), max(values)
        return {v: (v - low) / (high - low) if high > low else 0.5 for v in values}
    words = sorted(set(values), key=str)
    return {v: i / max(len(words) - 1, 1) for i, v in enumerate(words)}


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
