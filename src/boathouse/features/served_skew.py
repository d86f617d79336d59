"""Served values beside those that a point-in-time read at the time of the request gives, as DuckDB SQL."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from boathouse.features.completion import joins_of
from boathouse.features.leaks import COMMITTED, row_key
from boathouse.features.point_in_time import AsOf, as_of_join_sql, literal, quote
from boathouse.features.skew import Reason, counted, differs
from boathouse.features.specs import FeatureSpec

TIME, GIVEN = "__time", "__given"
"""Columns of served rows: when each was asked for, and the names of the columns that its request gave."""


@dataclass(frozen=True)
class ServedQuestion:
    """What is compared: `relations` as they are now; `published` as of the version that was served, each key's newest row.

    `commits` gives, for the tables whose commit times are known, SQL of (keys, times, `COMMITTED`). `kinds` are the SQL
    types of the served columns: lookup keys and features.
    """

    spec: FeatureSpec
    relations: Mapping[str, str]
    published: Mapping[str, str]
    commits: Mapping[str, str]
    kinds: Mapping[str, str]

    def sql(self, served: str) -> str:
        """One row of counts: the served rows, then for each feature of the lookups one count for each `Reason`."""
        typed = ", ".join(f"TRY_CAST({quote(n)} AS {kind}) AS {quote(n)}" for n, kind in self.kinds.items())
        spine = f"(SELECT {typed}, {quote(TIME)}, {quote(GIVEN)} FROM {served})"
        query = as_of_join_sql(spine, [*self._expected(), *self._published()], [*self.kinds, TIME, GIVEN])
        counts = [count for i, lookup in enumerate(self.spec.lookups()) for _, name in lookup.columns
                  for count in self._counts(i, name)]  # fmt: skip
        return f"SELECT count(*), {', '.join(counts)} FROM ({query})"

    def _counts(self, lookup: int, name: str) -> list[str]:
        kind = self.kinds[name]
        same = f"NOT {differs(quote(name), quote(f'published {name}'), kind)}"
        reasons = {Reason.OVERRIDE: f"list_contains({quote(GIVEN)}, {literal(name)})"}
        if self.spec.lookups()[lookup].table.name in self.commits:
            late = f"epoch_us({quote(f'{COMMITTED}_{lookup}')}) > epoch_us({quote(TIME)})"
            reasons[Reason.LATE_DATA] = f"{same} AND {late}"
        reasons[Reason.STALE_PUBLISH] = same
        return counted(reasons, differs(quote(name), quote(f"expected {name}"), kind))

    def _expected(self) -> list[AsOf]:
        dated = {name: self._with_commits(name, relation) for name, relation in self.relations.items()}
        joins = []
        for i, (lookup, join) in enumerate(zip(self.spec.lookups(), joins_of(self.spec, dated), strict=True)):
            more = [(COMMITTED, f"{COMMITTED}_{i}")] if lookup.table.name in self.commits else []
            joins.append(_named("expected", replace(join, at=TIME), more))
        return joins

    def _published(self) -> list[AsOf]:
        tables = {n: replace(t, event_time=None, known_time=None) for n, t in self.spec.tables.items()}
        joins = joins_of(replace(self.spec, tables=tables), self.published)
        return [_named("published", replace(join, at=None)) for join in joins]

    def _with_commits(self, name: str, relation: str) -> str:
        if name not in self.commits:
            return relation
        table = self.spec.tables[name]
        by = ", ".join(map(quote, [*row_key(table), *([table.known_time] if table.known_time else [])]))
        return f"(SELECT * FROM {relation} LEFT JOIN {self.commits[name]} USING ({by}))"


def _named(word: str, join: AsOf, more: list[tuple[str, str]] | None = None) -> AsOf:
    columns = [(feature, f"{word} {output}") for feature, output in join.columns]
    defaults = {f"{word} {output}": value for output, value in join.defaults.items()}
    return replace(join, columns=(*columns, *(more or [])), defaults=defaults)
