"""Where in time rows lie, as a condition by which a merge leaves out the files that cannot hold their keys."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from boathouse.lake.literals import quoted

_MOST = 16
_CUT = 1_000  # microseconds: the log's statistics are cut to milliseconds
_EPOCH = datetime(1970, 1, 1)
_FIRST, _LAST = ((moment - _EPOCH) // timedelta(microseconds=1) for moment in (datetime(1, 1, 2), datetime(9999, 12, 30)))


def near(rows: pa.Table, keys: Sequence[str], alias: str) -> str | None:
    """Delta's SQL, true of every row of `alias` whose keys equal those of one of the rows; None without a time key.

    It names a few stretches of the first key that is a timestamp, parted where the rows' own times leave the widest gaps.
    """
    times = [k for k in keys if pa.types.is_timestamp(rows.schema.field(k).type)]
    if not times or not rows.num_rows:
        return None
    kind = rows.schema.field(times[0]).type
    found = pc.unique(rows.column(times[0]).cast(pa.timestamp("us", kind.tz)).cast(pa.int64())).drop_null().sort()
    if not len(found) or found[0].as_py() < _FIRST or found[-1].as_py() > _LAST:
        return None
    ends = [(_text(low - _CUT, kind.tz), _text(high + _CUT, kind.tz)) for low, high in _parted(found)]
    return "(" + " OR ".join(f"{alias}.{quoted(times[0])} BETWEEN '{low}' AND '{high}'" for low, high in ends) + ")"


def _parted(moments: pa.Int64Array) -> list[tuple[int, int]]:
    gaps = pc.subtract(moments[1:], moments[:-1])
    cuts = sorted(pc.array_sort_indices(gaps, order="descending")[: _MOST - 1].to_pylist())
    firsts, lasts = [0, *(c + 1 for c in cuts)], [*cuts, len(moments) - 1]
    return [(moments[a].as_py(), moments[b].as_py()) for a, b in zip(firsts, lasts, strict=True)]


def _text(microseconds: int, zone: str | None) -> str:
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return (moment.replace(tzinfo=UTC) if zone else moment).isoformat(sep=" ", timespec="microseconds")
