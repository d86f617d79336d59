"""Skew: values that were served, or wait online, compared with what the lakehouse says; each mismatch with its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from boathouse.features.point_in_time import quote


class Reason(StrEnum):
    """Why a value is another than the lakehouse's."""

    OVERRIDE = "override"
    """The request gave the value."""
    CHANGED_FUNCTION = "changed_function"
    """The function's code was replaced since."""
    LEFT_OUT = "left_out"
    """The row is past its time to live, or outside the condition of its publication, so that nothing was served."""
    LATE_DATA = "late_data"
    """The lakehouse got or corrected the value only after it was served, or published."""
    STALE_PUBLISH = "stale_publish"
    """The lakehouse had the value, and it was not published yet."""
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True)
class FeatureSkew:
    """One feature: `values` compared, and mismatches by reason."""

    feature: str
    table: str
    values: int
    mismatches: Mapping[str, int] = field(default_factory=dict)

    @property
    def mismatched(self) -> int:
        """Mismatches of every reason but an override, which is meant."""
        return sum(count for reason, count in self.mismatches.items() if reason != Reason.OVERRIDE)


@dataclass(frozen=True)
class SkewReport:
    """What was compared (`of` a table online or an endpoint's log): `rows` keys or served rows, feature by feature.

    `only_online` and `only_lakehouse` count keys that one side alone has.
    """

    of: str
    rows: int
    features: tuple[FeatureSkew, ...]
    only_online: int = 0
    only_lakehouse: int = 0
    online_version: int | None = None
    table_version: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def percent(self) -> float:
        """Mismatched values of all compared, overrides apart, in percent; a key on one side alone counts as one."""
        compared = sum(f.values for f in self.features) + self.only_online + self.only_lakehouse
        wrong = sum(f.mismatched for f in self.features) + self.only_online + self.only_lakehouse
        return 100.0 * wrong / compared if compared else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "percent": self.percent}


def differs(one: str, other: str, kind: str) -> str:
    """SQL: whether two values of a type differ; floats within 1e-9, since the log keeps them as decimal text."""
    if kind not in ("DOUBLE", "FLOAT"):
        return f"({one} IS DISTINCT FROM {other})"
    near = f"abs({one} - {other}) <= 1e-9 * greatest(1, abs({other}))"
    return f"({one} IS DISTINCT FROM {other} AND coalesce(NOT {near}, true))"


def counted(reasons: Mapping[Reason, str], differing: str) -> list[str]:
    """SQL of one count a reason, in the order of `Reason`: the first whose condition holds takes the mismatch."""
    cases = " ".join(f"WHEN {condition} THEN '{reason}'" for reason, condition in reasons.items())
    said = f"CASE WHEN {differing} THEN CASE {cases} ELSE '{Reason.UNEXPLAINED}' END END"
    return [f"count(*) FILTER (WHERE {said} = '{reason}')" for reason in Reason]


def online_skew_sql(columns: Mapping[str, str], keys: Sequence[str], event_time: str | None, now: str, then: str,
                    online: str) -> str:  # fmt: skip
    """Counts over each key's row `now`, `then` in the published version, and `online`, which says `__found` too.

    `columns` are the published ones with their SQL types; no relation has null keys. First the number of keys online and
    of those that are not; then, column by column, one count for each `Reason`.
    """
    newer = f"(now.{quote(event_time)} > before.{quote(event_time)}) IS NOT FALSE" if event_time else "false"
    counts = ["count(*) FILTER (WHERE online.__found)", "count(*) FILTER (WHERE NOT online.__found)"]
    for name, kind in columns.items():
        here, there, earlier = (f"{side}.{quote(name)}" for side in ("online", "now", "before"))
        published = f"NOT {differs(here, earlier, kind)}"
        reasons = {Reason.STALE_PUBLISH: f"{published} AND {newer}", Reason.LATE_DATA: published}
        counts += counted(reasons, f"online.__found AND {differs(here, there, kind)}")
    by = ", ".join(map(quote, keys))
    joined = f"{now} AS now LEFT JOIN {then} AS before USING ({by}) JOIN {online} AS online USING ({by})"
    return f"SELECT {', '.join(counts)} FROM {joined}"


def skews(tables: Mapping[str, str], values: int, counts: Sequence[int]) -> tuple[FeatureSkew, ...]:
    """Counts, feature by feature (feature -> table), one for each `Reason`, as values."""
    size = len(Reason)
    return tuple(
        FeatureSkew(name, table, values, dict(zip(map(str, Reason), counts[size * i : size * (i + 1)], strict=True)))
        for i, (name, table) in enumerate(tables.items())
    )
