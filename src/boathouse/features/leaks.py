"""What a join would have leaked: one spine joined as it was known, by event time alone, and without any time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from boathouse.errors import InvalidInput
from boathouse.features.completion import joins_of
from boathouse.features.point_in_time import AsOf, as_of_join_sql, quote
from boathouse.features.specs import FeatureSpec, InputTable

_TIME = '"__leak_time"'
COMMITTED = "__committed"
"""When a row was committed as it is."""


class Reading(StrEnum):
    """How a training set reads its feature tables."""

    EXACT = "exact"
    """The newest row of the spine's time among those known by then."""
    NAIVE = "naive"
    """By event time alone: what became known later is read, too."""
    TIMELESS = "timeless"
    """The newest row of each key, whatever the spine's time."""


@dataclass(frozen=True)
class FeatureLeak:
    """In how many rows of the spine a feature is another value when it is read naively, and without time."""

    feature: str
    table: str
    naive_rows: int
    timeless_rows: int


@dataclass(frozen=True)
class TableLeak:
    """A table's part. `committed_after_rows` are spine rows whose feature row was committed after the row's time.

    It is None for a table that declares a known time, which says more than a commit can, and where `note` says why
    commit times are not known.
    """

    table: str
    version: int | None
    known_time: str | None
    naive_rows: int
    timeless_rows: int
    committed_after_rows: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Retrained:
    """A model trained on features read in one way; the test rows are the latest.

    `claimed` is its metric on test features read in the same way, `honest` on those that production would see.
    """

    reading: str
    metric: str
    claimed: float
    honest: float


@dataclass(frozen=True)
class LeakReport:
    """What naive joins would have leaked into a training set of `rows` rows; counts are rows of the spine."""

    rows: int
    time: str
    naive_rows: int
    timeless_rows: int
    committed_after_rows: int
    tables: tuple[TableLeak, ...]
    features: tuple[FeatureLeak, ...]
    retrained: tuple[Retrained, ...] = ()
    train_rows: int = 0
    test_rows: int = 0
    note: str = ""

    @property
    def percent(self) -> float:
        """Of the rows, in percent: those that a join by event time alone would change."""
        return 100.0 * self.naive_rows / self.rows if self.rows else 0.0

    @property
    def committed_after_percent(self) -> float:
        """Of the rows, in percent: those that read a value committed after their own time, as a backfill's are."""
        return 100.0 * self.committed_after_rows / self.rows if self.rows else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "percent": self.percent, "committed_after_percent": self.committed_after_percent}

    def advice(self) -> list[str]:
        """What to do about it, a sentence a table."""
        return [sentence for table in self.tables for sentence in _advice(table)]


def read_as(spec: FeatureSpec, relations: Mapping[str, str], reading: Reading) -> tuple[FeatureSpec, dict[str, str]]:
    """The spec and the relations that make a training set read its tables in this way."""
    if reading is Reading.EXACT:
        return spec, dict(relations)
    tables = {name: _without_times(table, reading) for name, table in spec.tables.items()}
    newest = {name: _newest(relations[name], table, reading) for name, table in spec.tables.items()}
    return replace(spec, tables=tables), newest


@dataclass(frozen=True)
class LeakQuestion:
    """What is compared: the tables' `relations` at `spec`'s versions, over a spine with a `time` of each row.

    `commits` is, for each table whose commit times count, SQL of (keys, event time, `COMMITTED`): one row for each row
    of the table, with the time of its newest commit.
    """

    spec: FeatureSpec
    relations: Mapping[str, str]
    commits: Mapping[str, str]
    time: str

    def sql(self, spine: str) -> str:
        """One row of counts, for `report`; one query over the spine, which spills to disk.

        Raises InvalidInput without a lookup to compare.
        """
        joins = [join for reading in Reading for join in self._joins(reading)]
        if not joins:
            raise InvalidInput("nothing is looked up here, so nothing can leak: name lookups, or a spec that has some")
        timed = f"(SELECT *, {quote(self.time)} AS {_TIME} FROM {spine})"
        query = as_of_join_sql(timed, joins, [_TIME.strip('"')])
        return f"SELECT count(*), {', '.join(self._counts())} FROM ({query})"

    def report(self, counts: Sequence[int], notes: Mapping[str, str]) -> LeakReport:
        """The report of what `sql` counted; `notes` say why a table's commit times are not known."""
        left = iter(counts)
        rows, naive, timeless, committed = (next(left) for _ in range(4))
        tables = tuple(
            TableLeak(name, t.version, t.known_time, next(left), next(left), self._if_compared(name, next(left)),
                      notes.get(name, ""))
            for name, t in self.spec.tables.items()
        )  # fmt: skip
        features = tuple(FeatureLeak(name, table, next(left), next(left)) for name, table in self._features())
        return LeakReport(rows, self.time, naive, timeless, committed, tables, features)

    def _if_compared(self, table: str, count: int) -> int | None:
        return count if table in self.commits else None

    def _features(self) -> list[tuple[str, str]]:
        return [(output, lookup.table.name) for lookup in self.spec.lookups() for _, output in lookup.columns]

    def _counts(self) -> Iterator[str]:
        features = self._features()
        yield _filtered(_changed(f, Reading.NAIVE) for f, _ in features)
        yield _filtered(_changed(f, Reading.TIMELESS) for f, _ in features)
        yield _filtered(late for table in self.spec.tables for late in self._late(table))
        for table in self.spec.tables:
            of_table = [feature for feature, name in features if name == table]
            yield _filtered(_changed(f, Reading.NAIVE) for f in of_table)
            yield _filtered(_changed(f, Reading.TIMELESS) for f in of_table)
            yield _filtered(self._late(table))
        for feature, _ in features:
            yield _filtered([_changed(feature, Reading.NAIVE)])
            yield _filtered([_changed(feature, Reading.TIMELESS)])

    def _late(self, table: str) -> list[str]:
        """Conditions: the row that a lookup found was committed after the spine's time."""
        numbers = [i for i, lookup in enumerate(self.spec.lookups()) if lookup.table.name == table]
        return [f'epoch_us("{COMMITTED}_{i}") > epoch_us({_TIME})' for i in numbers if table in self.commits]

    def _joins(self, reading: Reading) -> Iterator[AsOf]:
        """The joins of one reading, their outputs under names of its own."""
        spec, relations = read_as(self.spec, self.relations, reading)
        if reading is Reading.EXACT:
            relations = {name: self._with_commits(name, relation) for name, relation in relations.items()}
        for number, (lookup, join) in enumerate(zip(self.spec.lookups(), joins_of(spec, relations), strict=True)):
            columns = [(feature, _output(output, reading)) for feature, output in join.columns]
            if reading is Reading.EXACT and lookup.table.name in self.commits:
                columns.append((COMMITTED, f"{COMMITTED}_{number}"))
            defaults = {_output(output, reading): value for output, value in join.defaults.items()}
            yield replace(join, columns=tuple(columns), defaults=defaults)

    def _with_commits(self, name: str, relation: str) -> str:
        if name not in self.commits:
            return relation
        return f"(SELECT * FROM {relation} LEFT JOIN {self.commits[name]} USING ({listed(row_key(self.spec.tables[name]))}))"


def row_key(table: InputTable) -> tuple[str, ...]:
    """What tells a table's rows apart where it has no known time."""
    return (*table.keys, *([table.event_time] if table.event_time else []))


def listed(names: Iterable[str]) -> str:
    """Names as SQL."""
    return ", ".join(map(quote, names))


def _filtered(conditions: Iterable[str]) -> str:
    met = " OR ".join(conditions)
    return f"count(*) FILTER (WHERE {met})" if met else "0"


def _changed(feature: str, reading: Reading) -> str:
    return f"{quote(_output(feature, Reading.EXACT))} IS DISTINCT FROM {quote(_output(feature, reading))}"


def _output(feature: str, reading: Reading) -> str:
    return f"{reading} {feature}"


def _without_times(table: InputTable, reading: Reading) -> InputTable:
    return replace(table, known_time=None, event_time=table.event_time if reading is Reading.NAIVE else None)


def _newest(relation: str, table: InputTable, reading: Reading) -> str:
    """One row for each key (and event time, where that still counts): the newest known."""
    kept, order = list(table.keys), [t for t in (table.event_time, table.known_time) if t]
    if reading is Reading.NAIVE and table.event_time:
        kept, order = [*kept, table.event_time], [table.known_time] if table.known_time else []
    if not order:
        return relation
    by = ", ".join(f"{quote(name)} DESC NULLS LAST" for name in order)
    return f"(SELECT * FROM {relation} QUALIFY row_number() OVER (PARTITION BY {listed(kept)} ORDER BY {by}) = 1)"


def _advice(table: TableLeak) -> Iterator[str]:
    if table.known_time and table.naive_rows:
        yield (
            f"{table.table}: keep {table.known_time} as its known time; without it {table.naive_rows} rows would be trained "
            "on values that were corrected or published later"
        )
    if table.committed_after_rows:
        yield (
            f"{table.table}: {table.committed_after_rows} rows read values committed after their own time. A backfill does "
            "that and leaks nothing; values that come late do leak: declare their known_time_column"
        )
    if table.timeless_rows > table.naive_rows:
        yield f"{table.table}: never join its newest rows; look them up with timestamp_lookup_key, as here"
