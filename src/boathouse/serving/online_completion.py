"""Online completion: features looked up by key; a value given in the request overrides the stored one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from boathouse.errors import InvalidInput, NotFound
from boathouse.features import FeatureSpec, OnlineFunctions, OnlineReader

if TYPE_CHECKING:
    import pandas as pd


def complete_online(spec: FeatureSpec, rows: "pd.DataFrame", online: OnlineReader,
                    functions: OnlineFunctions | None = None) -> tuple["pd.DataFrame", Mapping[str, int]]:  # fmt: skip
    """The rows with their features, and the Delta version that each table's values were published from.

    `functions` are those of the spec, loaded before; without them they are loaded now.

    Raises InvalidInput naming a column that the rows lack, NotFound for a table that was never published.
    """
    wanted = spec.without(frozenset(rows.columns))
    if missing := [c for c in wanted.required_inputs if c not in rows]:
        raise InvalidInput(f"the rows lack {missing[0]!r}; a request carries {', '.join(wanted.required_inputs)}")
    if absent := [name for name in spec.declared if name not in rows]:
        raise InvalidInput(f"{absent[0]} was in no table when the model was logged: send it, or materialize it and log again")
    found = rows.copy()
    versions: dict[str, int] = {}
    for lookup in wanted.lookups():
        table = lookup.table
        snapshot = online.snapshot(table.name)  # one: its columns may differ from the next one's
        described = snapshot.table
        versions[table.name] = described.version
        position = {column: i for i, column in enumerate(described.columns)}
        order = [lookup.on[table.keys.index(key)] for key in described.keys]
        keys = list(zip(*(_values(found[column]) for column in order), strict=True))
        stored = snapshot.lookup(keys)
        if lacking := [feature for feature, _ in lookup.columns if feature not in position]:
            raise NotFound(f"{table.name} was published without {lacking[0]!r}: publish it again")
        for feature, output in lookup.columns:
            at, default = position[feature], lookup.defaults.get(output)
            found[output] = [default if row is None or row[at] is None else row[at] for row in stored]
    if wanted.functions:
        loaded = functions or OnlineFunctions(spec)
        for column in wanted.functions:
            inputs = {name: found[name].tolist() for name in column.input_bindings.values()}
            found[column.name] = loaded.compute(column, inputs).to_pylist()
    return found, versions


def _values(keys: "pd.Series[Any]") -> list[Any]:
    # pandas says nan for a key that a request left out, which no table holds
    return [None if gone else key for key, gone in zip(keys.tolist(), keys.isna(), strict=True)]
