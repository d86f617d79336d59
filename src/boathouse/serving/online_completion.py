"""Online completion: features looked up by key; a value given in the request overrides the stored one."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from boathouse import clock
from boathouse.errors import InvalidInput, NotFound, Unavailable
from boathouse.features import FeatureSpec, Lookups, OnlineFunctions, OnlineTable, TableLookup
from boathouse.serving.rows import Rows, is_gone

_KEPT = 256


class OnlineCompletion:
    """Completes the rows of requests for one spec. What is to be looked up is worked out once for rows with the same names."""

    def __init__(self, spec: FeatureSpec, online: Lookups, functions: OnlineFunctions | None = None) -> None:
        """`functions` are those of the spec, loaded before; without them they are loaded when they are first needed."""
        self._spec, self._online, self._functions = spec, online, functions
        self._plans: dict[tuple[str, ...], _Plan] = {}

    def complete(self, rows: Rows) -> tuple[Rows, Mapping[str, int]]:
        """The rows with their features, and the Delta version that each table's values were published from.

        Raises InvalidInput naming a column that the rows lack, Unavailable for what is not published: whoever asks an endpoint
        can do nothing about it.
        """
        plan = self._plan(tuple(rows.columns))
        columns: dict[str, list[Any]] = {}
        versions: dict[str, int] = {}
        asked = [(fetch.lookup.table.name, _keys(fetch.lookup, rows)) for fetch in plan.fetches]
        try:
            found = self._online.lookup_many(asked) if asked else []
        except NotFound as error:
            raise Unavailable(str(error)) from error
        for fetch, (described, stored) in zip(plan.fetches, found, strict=True):
            versions[fetch.lookup.table.name] = described.version
            time, placed = fetch.placed(described)
            values = _recent(stored, time, fetch.lookup.lookback)
            for output, at, default in placed:
                columns[output] = [default if row is None or row[at] is None else row[at] for row in values]
        completed = rows.beside(columns) if columns else rows
        for column in plan.functions:
            inputs = {name: completed.columns[name] for name in column.input_bindings.values()}
            computed = self._loaded().compute(column, inputs, completed.count).to_pylist()
            completed = completed.beside({column.name: computed})
        return completed, versions

    def _plan(self, names: tuple[str, ...]) -> "_Plan":
        plan = self._plans.get(names)
        if plan is None:
            plan = _Plan(self._spec, names)
            if len(self._plans) < _KEPT:
                self._plans[names] = plan
        return plan

    def _loaded(self) -> OnlineFunctions:
        if self._functions is None:
            self._functions = OnlineFunctions(self._spec)
        return self._functions


class _Plan:
    """What rows with these names still need. Raises InvalidInput naming what they lack."""

    def __init__(self, spec: FeatureSpec, names: Collection[str]) -> None:
        left = spec.without(frozenset(names))
        required = left.required_inputs
        if missing := [name for name in required if name not in names]:
            raise InvalidInput(f"the rows lack {missing[0]!r}; a request carries {', '.join(required)}")
        if absent := [name for name in spec.declared if name not in names]:
            raise InvalidInput(
                f"{absent[0]} was in no table when the model was logged: send it, or materialize it and log again"
            )
        self.fetches = [_Fetch(lookup) for lookup in left.lookups()]
        self.functions = left.functions


class _Fetch:
    """One lookup, and where its features lie in the rows as they were published last."""

    def __init__(self, lookup: TableLookup) -> None:
        self.lookup = lookup
        self._known: tuple[OnlineTable | None, int | None, list[tuple[str, int, Any]]] = None, None, []

    def placed(self, described: OnlineTable) -> tuple[int | None, list[tuple[str, int, Any]]]:
        """Where the time lies, and for each output where it lies and its default. Raises Unavailable."""
        known, time, outputs = self._known
        if known is not described:
            time, outputs = self._place(described)
            self._known = described, time, outputs
        return time, outputs

    def _place(self, described: OnlineTable) -> tuple[int | None, list[tuple[str, int, Any]]]:
        lookup, table = self.lookup, self.lookup.table
        position = {column: i for i, column in enumerate(described.columns)}
        if described.keys != table.keys:
            raise Unavailable(f"{table.name} was published with the keys {', '.join(described.keys)}: publish it again")
        if lacking := [feature for feature, _ in lookup.columns if feature not in position]:
            raise Unavailable(f"{table.name} was published without {lacking[0]!r}: publish it again")
        outputs = [(output, position[feature], lookup.defaults.get(output)) for feature, output in lookup.columns]
        return position.get(described.time or ""), outputs


def _keys(lookup: TableLookup, rows: Rows) -> list[tuple[Any, ...]]:
    columns = [[None if is_gone(part) else part for part in rows.columns[name]] for name in lookup.on]
    return list(zip(*columns, strict=True))


def _recent(rows: list[Any], time: int | None, lookback: timedelta | None) -> list[Any]:
    """Without rows that a point-in-time read of now would not see any more."""
    if lookback is None or time is None:
        return rows
    limit = clock.now() - lookback
    return [row if row is not None and _utc(row[time]) >= limit else None for row in rows]


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
