"""The as-of join: what was known about each row of a spine at the row's own time, as DuckDB SQL.

Times become microseconds since 1970 (UTC): one type on both sides, whatever the session's time zone.
A row of a table with a known time becomes visible at v = greatest(event time, known time). Each row goes to
the first moment of the spine that sees it, and of those with one key and moment only the newest event counts:
what is left is no longer than the spine. Going up in moments within a key, a row older than one before can
never be the answer; without such rows the newest row *is* the newest event, and an ASOF join is exact. Keys and
times alone go through all this; the features come at the end, by a hash join.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import duckdb

from boathouse.errors import DuplicateKey, InvalidInput

_ROW = '"__row"'
# One integer that orders by event time, then known time. Known times lie within 2**62 microseconds of 1970.
_STEP = 2**63
_MIDDLE = 2**62
# A spine of more columns is joined again after the sorts.
_NARROW = 16


@dataclass(frozen=True)
class FeatureSide:
    """The relation that is looked up.

    `relation` is SQL: a quoted name or `(select …)`. `keys` are its key columns without the times. With
    `event_time` None the table is static and joined on keys alone (by known time, where it has one); with
    `known_time` None the event time alone decides.
    """

    relation: str
    keys: tuple[str, ...]
    event_time: str | None = None
    known_time: str | None = None

    @property
    def time(self) -> str | None:
        """The column that orders rows of one key: event time, else known time."""
        return self.event_time or self.known_time

    @property
    def bitemporal(self) -> bool:
        """Whether event time and known time both decide."""
        return self.event_time is not None and self.known_time is not None


@dataclass(frozen=True)
class AsOf:
    """One lookup: `columns` of `side` (feature column, output name) for every row of the spine.

    `on` are spine columns in the order of `side.keys`, `at` the spine's time. A match older than `lookback`
    (in event time) counts as none; 0 asks for the exact time, None for any age. `defaults`, by output name,
    stand where the value is null.
    """

    side: FeatureSide
    on: tuple[str, ...]
    at: str | None
    columns: tuple[tuple[str, str], ...]
    lookback: timedelta | None = None
    defaults: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.on or len(self.on) != len(self.side.keys):
            raise InvalidInput(
                f"lookup by {list(self.on)} does not fit the keys {list(self.side.keys)}: one column for each"
            )
        if self.side.time and not self.at:
            raise InvalidInput(f"rows are chosen by {self.side.time}: name the spine's time column in `at`")
        if self.lookback is not None and self.lookback < timedelta(0):
            raise InvalidInput(f"a lookback cannot be negative: {self.lookback}")


def as_of_join_sql(spine: str, joins: Sequence[AsOf], keep: Sequence[str] | None = None) -> str:
    """SQL that completes every row of `spine` with the newest feature rows of its time.

    A match has event time <= at, known time <= at where declared, and at - event time <= lookback; among
    equal event times the newest known counts. Spine rows are never dropped, repeated or reordered, null keys
    and null times match nothing. Columns: those of the spine in `keep` (None: all), then the outputs in
    order. An output that `keep` names is not looked up: the spine's own values stand. With `keep` None an
    output that the spine has too is an error of the binder (ambiguous reference).
    Run `check_duplicates` where nothing else keeps keys unique. Raises InvalidInput.
    """
    wanted = wanted_joins(joins, keep or ())
    own = "*" if keep is None else ", ".join(map(quote, keep))
    if not wanted:
        return f"SELECT {own} FROM {spine}"
    narrow = keep is not None and len(keep) <= _NARROW and all(join.side.time for join in wanted)
    on = {name: f'"__on_{i}"' for i, name in enumerate(dict.fromkeys(n for j in wanted for n in j.on))}
    if narrow and keep:  # a key that is kept is carried once
        on |= {name: quote(name) for name in on if name in keep}
    at = {name: f'"__at_{i}"' for i, name in enumerate(dict.fromkeys(j.at for j in wanted if j.at))}
    probes = [f"{quote(name)} AS {alias}" for name, alias in on.items() if alias != quote(name)]
    probes += [f"epoch_us({quote(name)}) AS {alias}" for name, alias in at.items()]
    outputs = [_output(i, join, at, *column) for i, join in enumerate(wanted) for column in join.columns]
    sides = [_side(i, join, on, at) for i, join in enumerate(wanted)]
    if narrow and keep is not None:
        return _narrow(spine, keep, probes, outputs, sides)
    # Only keys and times go through the sorts of the ASOF joins; the spine's width comes back at the end.
    # Materialised, because a spine that samples must be the same both times.
    return "\n".join(
        [
            f'WITH "__spine" AS MATERIALIZED (SELECT row_number() OVER () AS {_ROW}, * FROM {spine}),',
            f'"__probe" AS MATERIALIZED (SELECT {", ".join([_ROW, *probes])} FROM "__spine"),',
            f'"__joined" AS MATERIALIZED (SELECT {", ".join([f"p.{_ROW}", *outputs])}',
            'FROM "__probe" p',
            *sides,
            ")",
            f"SELECT {_final(keep, wanted)}",
            f'FROM "__spine" s JOIN "__joined" j ON s.{_ROW} = j.{_ROW}',
            *_unrepeated(wanted),
            f"ORDER BY s.{_ROW}",
        ]
    )


def _narrow(
    spine: str, keep: Sequence[str], probes: Sequence[str], outputs: Sequence[str], sides: Sequence[str]
) -> str:
    """A spine of few columns goes through the sorts whole, which costs less than to join it again at the end."""
    own, number = [quote(name) for name in keep], f"row_number() OVER () AS {_ROW}"
    return "\n".join(
        [
            f'WITH "__probe" AS MATERIALIZED (SELECT {", ".join([number, *probes, *own])} FROM {spine})',
            f"SELECT {', '.join([*(f'p.{name}' for name in own), *outputs])}",
            'FROM "__probe" p',
            *sides,
            f"ORDER BY p.{_ROW}",
        ]
    )


def check_duplicates(con: duckdb.DuckDBPyConnection, side: FeatureSide, table: str = "") -> None:
    """Raises DuplicateKey, naming an example, when two rows share keys, event time and known time.

    Rows with a null key or time match nothing and are not looked at. `table` is what the message calls it. Rows that lie in
    order of time and keys, or of keys and time, are compared with their neighbours alone.
    """
    times = [name for name in (side.event_time, side.known_time) if name]
    names = [*side.keys, *times]
    columns = ", ".join(map(quote, names))
    present = " AND ".join(f"{quote(name)} IS NOT NULL" for name in names)
    rows = f"(SELECT {columns} FROM {side.relation} WHERE {present})"
    if any(_ascending(con, rows, order) for order in ([*times, *side.keys], names)):
        return
    found = con.sql(
        f"SELECT {columns}, count(*) FROM {rows} GROUP BY {columns} HAVING count(*) > 1 LIMIT 1"
    ).fetchall()
    for *values, count in found:
        raise doubled(table, names, values, count)


def _ascending(con: duckdb.DuckDBPyConnection, rows: str, names: Sequence[str]) -> bool:
    """Whether each row, as they come, is beyond the one before it by these columns. Stops at the first that is not."""
    before = ", ".join(f"lag({quote(name)}) OVER () AS {quote(f'__before_{i}')}" for i, name in enumerate(names))
    beyond = ""
    for i, name in reversed(list(enumerate(names))):
        last = quote(f"__before_{i}")
        tied = f" OR ({quote(name)} = {last} AND {beyond})" if beyond else ""
        beyond = f"({quote(name)} > {last}{tied})"
    # the very first row has none before it
    found = con.sql(f"SELECT 1 FROM (SELECT *, {before} FROM {rows}) WHERE {beyond} IS NOT TRUE LIMIT 2").fetchall()
    return len(found) <= 1


def doubled(table: str, names: Sequence[str], values: Sequence[object], count: int) -> DuplicateKey:
    """The error about `count` rows that share a key, which is named."""
    example = ", ".join(f"{name}={value!s}" for name, value in zip(names, values, strict=True))
    return DuplicateKey(
        f"{table or 'the feature table'} holds {count} rows for {example}: "
        f"keep one row for each ({', '.join(names)})",
        columns=names,
    )


def quote(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A value as an untyped SQL literal, which takes the type of the column beside it."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return "'" + text.replace("'", "''") + "'"


def wanted_joins(joins: Iterable[AsOf], keep: Iterable[str]) -> list[AsOf]:
    """The joins without outputs that the spine has. Raises InvalidInput on names SQL cannot tell apart."""
    own = {name.casefold(): name for name in keep}
    seen: set[str] = set()
    wanted = []
    for join in joins:
        columns = tuple(pair for pair in join.columns if own.get(pair[1].casefold()) != pair[1])
        for _, output in columns:
            if clash := own.get(output.casefold()):
                raise InvalidInput(f"{output!r} and the spine's {clash!r} differ only in case: rename one")
            if output.casefold() in seen:
                raise InvalidInput(f"two looked-up columns are named {output!r}: rename one")
            seen.add(output.casefold())
        if columns:
            wanted.append(replace(join, columns=columns))
    return wanted


def _output(index: int, join: AsOf, at: Mapping[str, str], feature: str, output: str) -> str:
    value = f"f{index}.{quote(feature)}"
    if join.lookback is not None and join.at and join.side.time:
        # The age decides, not the value: a stored null stays a null.
        age = f'p.{at[join.at]} - f{index}."__event"'
        value = f"CASE WHEN {age} <= {micros(join.lookback)} THEN {value} END"
    if join.defaults.get(output) is not None:
        value = f"coalesce({value}, {literal(join.defaults[output])})"
    return f"{value} AS {quote(output)}"


def _side(index: int, join: AsOf, on: Mapping[str, str], at: Mapping[str, str]) -> str:
    """One join clause, its right side pruned to the keys and times of the spine before it is sorted."""
    side = join.side
    keys = [
        (f'"__key_{i}"', quote(key), on[name])
        for i, (key, name) in enumerate(zip(side.keys, join.on, strict=True))
    ]
    same = " AND ".join(f"p.{probe} = f{index}.{alias}" for alias, _, probe in keys)
    columns = [f"r.{column} AS {alias}" for alias, column, _ in keys]
    columns += [f"r.{quote(name)}" for name in dict.fromkeys(feature for feature, _ in join.columns)]
    if side.time is None or join.at is None:
        return f"LEFT JOIN (SELECT {', '.join(columns)} FROM {side.relation} r) f{index} ON {same}"
    moment = at[join.at]
    event = f"epoch_us(r.{quote(side.time)})"
    if side.bitemporal:
        chosen = _newest_seen(join, keys, moment)
        found = " AND ".join([*(f"c.{alias} = r.{column}" for alias, column, _ in keys), f"c.newest = {_order(side)}"])
        columns += [f'{event} AS "__event"', 'c."__seen"']
        rows = f"SELECT {', '.join(columns)} FROM {side.relation} r JOIN ({chosen}) c ON {found}"
        return f'ASOF LEFT JOIN ({rows}) f{index} ON {same} AND p.{moment} >= f{index}."__seen"'
    pruned = f'SELECT {", ".join(columns)}, {event} AS "__event" FROM {_asked_for(join, keys, moment)}'
    return f'ASOF LEFT JOIN ({pruned}) f{index} ON {same} AND p.{moment} >= f{index}."__event"'


def _asked_for(join: AsOf, keys: Sequence[tuple[str, str, str]], moment: str) -> str:
    """The rows `r` of keys that the spine asks for, without those of times that it cannot see."""
    times = [f"epoch_us(r.{quote(name)})" for name in (join.side.event_time, join.side.known_time) if name]
    kept = [f"k.{probe} = r.{column}" for _, column, probe in keys] + [f'{time} <= k."__latest"' for time in times]
    if join.lookback is not None:
        kept.append(f'{times[0]} >= k."__earliest" - {micros(join.lookback)}')
    probed = ", ".join(probe for _, _, probe in keys)
    asked = (
        f'SELECT {probed}, min({moment}) AS "__earliest", max({moment}) AS "__latest" '
        f'FROM "__probe" GROUP BY {probed}'
    )
    return f"{join.side.relation} r JOIN ({asked}) k ON {' AND '.join(kept)}"


def _newest_seen(join: AsOf, keys: Sequence[tuple[str, str, str]], moment: str) -> str:
    """Keys, a moment of the spine (`__seen`), and the `newest` row that is visible then, where that changes."""
    times = ", ".join(f"epoch_us(r.{quote(name)})" for name in (join.side.event_time, join.side.known_time) if name)
    named = ", ".join(f"r.{column} AS {alias}" for alias, column, _ in keys)
    rows = f"SELECT {named}, greatest({times}) AS visible, {_order(join.side)} AS row FROM {_asked_for(join, keys, moment)}"
    moments = f'SELECT DISTINCT {", ".join(probe for _, _, probe in keys)}, {moment} AS "__seen" FROM "__probe"'
    same = " AND ".join(f"v.{alias} = m.{probe}" for alias, _, probe in keys)
    aliases = ", ".join(alias for alias, _, _ in keys)
    return (
        f'SELECT {aliases}, "__seen", max(row) AS newest FROM ({rows}) v '
        f'ASOF JOIN ({moments}) m ON {same} AND v.visible <= m."__seen" GROUP BY {aliases}, "__seen" '
        f'QUALIFY max(row) = max(max(row)) OVER (PARTITION BY {aliases} ORDER BY "__seen" ROWS UNBOUNDED PRECEDING)'
    )


def _order(side: FeatureSide) -> str:
    """One integer for event time and known time, in that order."""
    event, known = (f"epoch_us(r.{quote(name)})" for name in (side.event_time, side.known_time) if name)
    return f"({event}::HUGEINT * {_STEP} + ({known} + {_MIDDLE}))"


def _final(keep: Sequence[str] | None, wanted: Sequence[AsOf]) -> str:
    outputs = [quote(output) for join in wanted for _, output in join.columns]
    if keep is None:
        return ", ".join([f"s.* EXCLUDE ({_ROW})", *outputs])
    return ", ".join([*(f"s.{quote(name)}" for name in keep), *(f"j.{name}" for name in outputs)])


def _unrepeated(wanted: Sequence[AsOf]) -> list[str]:
    """A static table with two rows of one key would repeat rows of the spine: stop instead."""
    if all(join.side.time for join in wanted):
        return []
    keys = "; ".join(", ".join(join.side.keys) for join in wanted if not join.side.time)
    says = literal(f"two rows of a static table share one key ({keys}): keep one row for each key")
    counts = '(SELECT count(*) FROM "__joined") = (SELECT count(*) FROM "__probe")'
    return [f"WHERE CASE WHEN {counts} THEN true ELSE error({says}) END"]


def micros(duration: timedelta) -> int:
    """Whole microseconds."""
    return duration // timedelta(microseconds=1)
