"""Served values beside those that a point-in-time read at the time of the request gives, as DuckDB SQL."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from boathouse.features.completion import joins_of
from boathouse.features.leaks import COMMITTED, row_key
from boathouse.features.point_in_time import AsOf, as_of_join_sql, literal, quote
from boathouse.features.skew import Reason, counted, differs
from boathouse.features.specs import FeatureSpec, TableLookup

TIME, GIVEN = "__time", "__given"
"""Columns of served rows: when each was asked for, and the names of the columns that its request gave."""
_EXPECTED, _PUBLISHED, _AT_ONCE = "expected", "published", "at once"
"""What the lakehouse says now; what the served version says; and what it said when it was committed.

A publication of the version lies between its commit and the request, and rows may come of age meanwhile.
"""
_OUT, _EVENT = "__out", "__event"


@dataclass(frozen=True)
class Served:
    """How a table was online: `relation` is SQL of the version's rows, `at_once` of those whose time had come at its commit.

    `condition` (SQL over a row) says which rows are published, `ttl` for how many seconds.
    """

    relation: str
    at_once: str
    condition: str | None = None
    ttl: float | None = None


@dataclass(frozen=True)
class ServedQuestion:
    """What is compared: `relations` as they are now, and `served` as they were published.

    `commits` gives, for the tables whose commit times are known, SQL of (keys, times, `COMMITTED`). `kinds` are the SQL
    types of the served columns: lookup keys and features.
    """

    spec: FeatureSpec
    relations: Mapping[str, str]
    served: Mapping[str, Served]
    commits: Mapping[str, str]
    kinds: Mapping[str, str]

    def sql(self, served: str) -> str:
        """One row of counts: the served rows, then for each feature of the lookups one count for each `Reason`."""
        typed = ", ".join(f"TRY_CAST({quote(n)} AS {kind}) AS {quote(n)}" for n, kind in self.kinds.items())
        spine = f"(SELECT {typed}, {quote(TIME)}, {quote(GIVEN)} FROM {served})"
        now = {name: self._with_commits(name, relation) for name, relation in self.relations.items()}
        then = {name: table.relation for name, table in self.served.items()}
        first = {name: table.at_once for name, table in self.served.items()}
        joins = [*self._joins(_EXPECTED, now), *self._joins(_PUBLISHED, then), *self._joins(_AT_ONCE, first)]
        query = as_of_join_sql(spine, joins, [*self.kinds, TIME, GIVEN])
        counts = [count for i, lookup in enumerate(self.spec.lookups()) for _, name in lookup.columns
                  for count in self._counts(i, lookup, name)]  # fmt: skip
        return f"SELECT count(*), {', '.join(counts)} FROM ({query})"

    def _counts(self, i: int, lookup: TableLookup, name: str) -> list[str]:
        kind, table = self.kinds[name], lookup.table
        nothing = f"CAST({literal(lookup.defaults[name])} AS {kind})" if name in lookup.defaults else "NULL"
        absent = f"NOT {differs(quote(name), nothing, kind)}"
        older = [self._unless_out(i, lookup, word, name, nothing) for word in (_PUBLISHED, _AT_ONCE)]
        same = "(" + " OR ".join(f"NOT {differs(quote(name), value, kind)}" for value in older) + ")"
        reasons = {
            Reason.OVERRIDE: f"list_contains({quote(GIVEN)}, {literal(name)})",
            Reason.LEFT_OUT: f"{absent} AND {self._is_out(i, lookup, _EXPECTED)}",
        }
        if table.name in self.commits:
            reasons[Reason.LATE_DATA] = f"{same} AND epoch_us({quote(f'{COMMITTED}_{i}')}) > epoch_us({quote(TIME)})"
        ages = self.served[table.name].ttl is not None and table.event_time is None  # by its last publication
        reasons[Reason.STALE_PUBLISH] = f"({same} OR {absent})" if ages else same
        return counted(reasons, differs(quote(name), quote(f"{_EXPECTED} {name}"), kind))

    def _unless_out(self, i: int, lookup: TableLookup, word: str, name: str, nothing: str) -> str:
        return f"CASE WHEN {self._is_out(i, lookup, word)} THEN {nothing} ELSE {quote(f'{word} {name}')} END"

    def _is_out(self, i: int, lookup: TableLookup, word: str) -> str:
        """SQL: whether a row was not served for what it is, or for its age."""
        table, reasons = self.served[lookup.table.name], []
        if table.condition:
            reasons.append(f"coalesce({quote(f'{word} {_OUT} {i}')}, false)")
        if table.ttl is not None and lookup.table.event_time:
            age = f"epoch_us({quote(TIME)}) - epoch_us({quote(f'{word} {_EVENT} {i}')})"
            reasons.append(f"coalesce({age} > {1e6 * table.ttl:.0f}, false)")
        return f"({' OR '.join(reasons) or 'false'})"

    def _joins(self, word: str, relations: Mapping[str, str]) -> Iterator[AsOf]:
        marked = {name: self._marked(name, relation) for name, relation in relations.items()}
        for i, (lookup, join) in enumerate(zip(self.spec.lookups(), joins_of(self.spec, marked), strict=True)):
            name, event = lookup.table.name, lookup.table.event_time
            columns = [(feature, f"{word} {output}") for feature, output in join.columns]
            if word == _EXPECTED and name in self.commits:
                columns.append((COMMITTED, f"{COMMITTED}_{i}"))
            if self.served[name].condition:
                columns.append((_OUT, f"{word} {_OUT} {i}"))
            if self.served[name].ttl is not None and event:
                columns.append((event, f"{word} {_EVENT} {i}"))
            defaults = {f"{word} {output}": value for output, value in join.defaults.items()}
            yield replace(join, at=TIME, columns=tuple(columns), defaults=defaults)

    def _marked(self, name: str, relation: str) -> str:
        condition = self.served[name].condition
        out = f"NOT coalesce(({condition}\n), false)"
        return f"(SELECT *, {out} AS {quote(_OUT)} FROM {relation})" if condition else relation

    def _with_commits(self, name: str, relation: str) -> str:
        if name not in self.commits:
            return relation
        table = self.spec.tables[name]
        by = ", ".join(map(quote, [*row_key(table), *([table.known_time] if table.known_time else [])]))
        return f"(SELECT * FROM {relation} LEFT JOIN {self.commits[name]} USING ({by}))"
