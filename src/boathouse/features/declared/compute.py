"""SQL that computes declared features: for rows of a spine, and at every moment at which they change."""

from collections.abc import Sequence

from boathouse.errors import InvalidInput
from boathouse.features.declared.feature import Feature
from boathouse.features.declared.operators import Over, input_sql
from boathouse.features.declared.windows import Rule
from boathouse.features.point_in_time import quote

TIME = '"__time"'
"""A row's time, or a moment, in microseconds since 1970."""

_ROW = '"__row"'
_INTO = "epoch_us({}::TIMESTAMPTZ)"


def keys(features: Sequence[Feature]) -> list[str]:
    """The columns under which entities go inside, in order."""
    return [f'"__key_{i}"' for i in range(len(features[0].entity))]


def rows_sql(features: Sequence[Feature], relation: str) -> str:
    """A source's rows with their keys and times; rows without either are no rows of any entity. One group's features."""
    first = features[0]
    named = [f"{quote(e)} AS {k}" for e, k in zip(first.entity, keys(features), strict=True)]
    at = _INTO.format(quote(first.timeseries_column)) if first.timeseries_column else "0"
    inputs = dict.fromkeys(quote(f.operator.input) for f in features if f.operator.input)
    present = " AND ".join(f"{quote(e)} IS NOT NULL" for e in first.entity)
    columns = ", ".join([*named, f"{at} AS {TIME}", *inputs])
    return f"(SELECT {columns} FROM {relation} WHERE {present} AND {at} IS NOT NULL)"


def values_sql(features: Sequence[Feature], probe: str, rows: str, carried: Sequence[str] = (_ROW,)) -> str:
    """The features for every row of a probe: `carried` columns, keys and moments in, `carried` and features out.

    `probe` has the columns of `carried`, the keys and `TIME`; `rows` is of `rows_sql`. Probe and rows go in one line by
    time, each moment at the last microsecond that it sees, and the features are window functions over that line: the
    cost grows with the line, not with moments times rows.
    """
    named, ends = ", ".join(keys(features)), list(dict.fromkeys(r.last(TIME) for r in rules(features)))
    inputs = list(dict.fromkeys(quote(f.operator.input) for f in features if f.operator.input))
    kept = [f'"__carried_{i}"' for i in range(len(carried))]
    asked = [*(f"{c} AS {k}" for c, k in zip(carried, kept, strict=True)), named, "false AS __counts",
             *(f"{end} AS __end_{i}" for i, end in enumerate(ends)), *(f"NULL AS {i}" for i in inputs)]  # fmt: skip
    given = ["NULL" for _ in kept] + [f"r.{k}" for k in keys(features)] + ["true", *(f"r.{TIME}" for _ in ends)]
    given += [f"r.{i}" for i in inputs]
    windows, outputs = [], [f"{k} AS {c}" for c, k in zip(carried, kept, strict=True)]
    for number, rule in enumerate(rules(features)):
        order = f"__end_{ends.index(rule.last(TIME))} NULLS FIRST"  # first, for no row comes before a moment that is null
        windows.append(f"w{number} AS (PARTITION BY {named} ORDER BY {order} {rule.frame})")
    for feature in features:
        time = f"__end_{ends.index(feature.rule.last(TIME))}"
        counted = "__counts" if feature.rule.since is None else f"__counts AND {time} >= {feature.rule.since}"
        over = Over(f"w{rules(features).index(feature.rule)}", counted)
        outputs.append(f"{feature.operator.sql(input_sql(feature.operator.input), time, over)} AS {quote(feature.name)}")
    computed = (
        f"SELECT {', '.join(outputs)}, __counts FROM (SELECT {', '.join(asked)} FROM {probe} UNION ALL "
        f"SELECT {', '.join(given)} FROM {_seen(features, probe, rows)}) WINDOW {', '.join(windows)}"
    )
    return f"SELECT * EXCLUDE (__counts) FROM ({computed}) WHERE NOT __counts"


def _seen(features: Sequence[Feature], probe: str, rows: str) -> str:
    """The rows `r` of entities that the probe asks for, about the time that it asks for."""
    back, ahead = reach(features), max(0, *(-rule.lag for rule in rules(features)))
    named = ", ".join(keys(features))
    asked = f"SELECT {named}, min({TIME}) AS earliest, max({TIME}) AS latest FROM {probe} GROUP BY {named}"
    near = [f"r.{k} = k.{k}" for k in keys(features)] + [f"r.{TIME} <= k.latest + {ahead}"]
    if back is not None:
        near.append(f"r.{TIME} >= k.earliest - {back}")
    return f"{rows} r JOIN ({asked}) k ON {' AND '.join(near)}"


def complete_sql(groups: Sequence[tuple[Sequence[Feature], str]], spine: str, columns: Sequence[str]) -> str:
    """Every row of the spine with its columns, then the features of each group (features, relation of its source).

    Rows are neither lost, repeated nor reordered. The spine's time is the column of each group's own name.
    """
    kept = ", ".join(f"s.{quote(c)}" for c in columns)
    parts = [f'"__spine" AS MATERIALIZED (SELECT row_number() OVER () AS {_ROW}, * FROM {spine})']
    joins, outputs = [], []
    for number, (features, relation) in enumerate(groups):
        first = features[0]
        probe = [f"{quote(e)} AS {k}" for e, k in zip(first.entity, keys(features), strict=True)]
        at = _INTO.format(quote(first.timeseries_column)) if first.timeseries_column else "1"
        parts.append(f'p{number} AS (SELECT {_ROW}, {", ".join(probe)}, {at} AS {TIME} FROM "__spine")')
        parts.append(f"r{number} AS MATERIALIZED {rows_sql(features, relation)}")
        parts.append(f"g{number} AS ({values_sql(features, f'p{number}', f'r{number}')})")
        joins.append(f"JOIN g{number} ON s.{_ROW} = g{number}.{_ROW}")
        outputs += [f"g{number}.{quote(f.name)}" for f in features]
    listed = ", ".join([kept, *outputs])
    return f'WITH {", ".join(parts)} SELECT {listed} FROM "__spine" s {" ".join(joins)} ORDER BY s.{_ROW}'


def moments_sql(features: Sequence[Feature], rows: str) -> str:
    """Keys and every moment at which a row begins or ceases to count for one of the features."""
    named = ", ".join(keys(features))
    each = [f"SELECT {named}, {moment} AS {TIME} FROM {rows}" for rule in rules(features) for moment in _moments(rule)]
    return f"(SELECT DISTINCT * FROM ({' UNION ALL '.join(each)}))"


def touched_sql(features: Sequence[Feature], rows: str) -> str:
    """Keys and the stretches, `low` to `high` in microseconds, in which changed rows change the features."""
    named = ", ".join(keys(features))
    low = f"least({', '.join(r.entry(TIME) for r in rules(features))})"
    exits = [r.exit(TIME) for r in rules(features)]
    high = f"greatest({', '.join(e for e in exits if e)})" if all(exits) else f"{2**62}"
    return f"SELECT DISTINCT {named}, {low} AS low, {high} AS high FROM {rows}"


def reach(features: Sequence[Feature]) -> int | None:
    """How long before a moment a row may lie that it needs, in microseconds; None for any time."""
    each = [rule.reach for rule in rules(features)]
    return None if any(r is None for r in each) else finite_reach(features)


def finite_reach(features: Sequence[Feature]) -> int:
    """The same of those windows that have a length."""
    return max((rule.reach or 0 for rule in rules(features)), default=0)


def lead(features: Sequence[Feature]) -> int:
    """How long after a row's time its first moment may come, in microseconds."""
    return max(rule.step + abs(rule.lag) for rule in rules(features))


def rules(features: Sequence[Feature]) -> list[Rule]:
    """The windows of a group, each once."""
    return list(dict.fromkeys(f.rule for f in features))


def check_names(features: Sequence[Feature], columns: Sequence[str] = ()) -> None:
    """Raises InvalidInput when two features, or a feature and a column, share a name."""
    seen = {c.casefold() for c in columns}
    for feature in features:
        if feature.name.casefold() in seen:
            raise InvalidInput(f"the name {feature.name!r} is taken twice: give the feature another name=")
        seen.add(feature.name.casefold())


def _moments(rule: Rule) -> list[str]:
    # a row that counts no earlier than `since` makes no moments before it; that it makes some is harmless
    last = rule.exit(TIME)
    return [rule.entry(TIME), *([last] if last else [])]
