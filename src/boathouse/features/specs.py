"""The feature spec: what a model needs to complete its inputs, kept beside the model as YAML."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from typing import Any

import yaml

from boathouse.errors import InvalidInput
from boathouse.features.lookups import Default

SERIALIZATION_VERSION = 11


class Source(StrEnum):
    """Where a column comes from, in the published words."""

    TRAINING_DATA = "training_data"
    FEATURE_STORE = "feature_store"
    ON_DEMAND = "on_demand_feature"


@dataclass(frozen=True)
class TableFacts:
    """What resolving a lookup has to know of a table: columns and types, keys, times, Delta version."""

    columns: Mapping[str, str]
    primary_keys: tuple[str, ...]
    timeseries_column: str | None = None
    known_time_column: str | None = None
    version: int | None = None

    @property
    def times(self) -> tuple[str, ...]:
        """Event time and known time, those that are declared."""
        return tuple(name for name in (self.timeseries_column, self.known_time_column) if name)

    @property
    def keys(self) -> tuple[str, ...]:
        """Primary keys without the times: what a lookup key has to match."""
        return tuple(key for key in self.primary_keys if key not in self.times)


@dataclass(frozen=True)
class FunctionFacts:
    """A function as the catalog has it: parameters in order with their types, the type it returns, its code.

    `source` is Python text that defines `entry`. Resolving needs the parameters only, running all of it.
    """

    parameters: tuple[str, ...]
    data_type: str = ""
    parameter_types: tuple[str, ...] = ()
    source: str = ""
    entry: str = ""
    version: int | None = None


@dataclass(frozen=True)
class InputTable:
    """A feature table as the spec found it; `keys` are without the times."""

    name: str
    keys: tuple[str, ...]
    event_time: str | None = None
    known_time: str | None = None
    version: int | None = None


@dataclass(frozen=True)
class InputColumn:
    """One column that the model, a lookup or a function takes. `include` says whether the model sees it.

    The fields of a lookup are set for `feature_store`, those of a function for `on_demand_feature`.
    `lookup_key` is in the order of the table's keys.
    """

    name: str
    source: Source
    data_type: str = ""
    include: bool = True
    table_name: str = ""
    feature_name: str = ""
    lookup_key: tuple[str, ...] = ()
    timestamp_lookup_key: str | None = None
    lookback: timedelta | None = None
    default: Default | None = None
    udf_name: str = ""
    input_bindings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TableLookup:
    """One fetch from one table: for the values of `on` (and at the time `at`), the `columns`
    (feature column, output name), in order; `defaults` by output name.
    """

    table: InputTable
    on: tuple[str, ...]
    at: str | None
    lookback: timedelta | None
    columns: tuple[tuple[str, str], ...]
    defaults: Mapping[str, Default]


@dataclass(frozen=True)
class FeatureSpec:
    """Resolved inputs of a model, in training order, then those only needed on the way (`include` False).

    `tables` by the name that lookups used. `label` names the spine's label columns; `spine` the columns
    that a training set takes from its spine, in order, labels among them. `function_facts` holds the code
    of the functions, by name.
    """

    input_columns: tuple[InputColumn, ...]
    tables: Mapping[str, InputTable] = field(default_factory=dict)
    label: tuple[str, ...] = ()
    spine: tuple[str, ...] = ()
    function_facts: Mapping[str, FunctionFacts] = field(default_factory=dict)
    declared: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Features that are computed from their sources for rows that lack them: name -> definition."""

    @property
    def model_columns(self) -> tuple[str, ...]:
        """What the model sees, in training order."""
        return tuple(column.name for column in self.input_columns if column.include)

    @property
    def training_columns(self) -> tuple[str, ...]:
        """What a training set holds: its spine's columns and labels, then features, without excluded ones."""
        return (*self.spine, *(name for name in self.model_columns if name not in self.spine))

    @property
    def functions(self) -> tuple[InputColumn, ...]:
        """On-demand columns, each after those it takes."""
        return tuple(column for column in self.input_columns if column.source is Source.ON_DEMAND)

    @property
    def required_inputs(self) -> tuple[str, ...]:
        """Columns that a request must carry: keys and what no table or function gives.

        A time that only chooses among rows is not needed online, where the newest row is served.
        """
        times = self._times_only()
        given = (c.name for c in self.input_columns if c.source is Source.TRAINING_DATA)
        return tuple(name for name in given if name not in times and name not in self.declared)

    @property
    def spine_inputs(self) -> tuple[str, ...]:
        """Columns that rows need for a point-in-time join: `required_inputs` and the times of lookups."""
        return tuple(c.name for c in self.input_columns if c.source is Source.TRAINING_DATA)

    def lookups(self) -> tuple[TableLookup, ...]:
        """One lookup for each table, keys, time and lookback, in order of first use."""
        stored = [c for c in self.input_columns if c.source is Source.FEATURE_STORE]
        order = {_fetch(c): i for i, c in reversed(list(enumerate(stored)))}
        grouped = groupby(sorted(stored, key=lambda c: order[_fetch(c)]), key=_fetch)
        return tuple(self._lookup(list(columns)) for _, columns in grouped)

    def without(self, names: Collection[str]) -> "FeatureSpec":
        """The spec for rows that bring `names` themselves: those are not looked up or computed."""
        given = [
            InputColumn(c.name, Source.TRAINING_DATA, c.data_type, c.include) if c.name in names else c
            for c in self.input_columns
        ]
        columns = needed(given)
        used = {column.table_name for column in columns}
        tables = {name: table for name, table in self.tables.items() if name in used}
        return replace(self, input_columns=columns, tables=tables)

    def to_yaml(self) -> str:
        """The text of `feature_spec.yaml`: the published keys, and ours (keys, times, versions of tables)."""
        document: dict[str, Any] = {
            "input_columns": [{c.name: _entry(c, i)} for i, c in enumerate(self.input_columns)],
            "input_tables": [{name: self._table_entry(name)} for name in self.tables],
            "input_functions": [
                {name: _function_entry(self.function_facts.get(name))}
                for name in dict.fromkeys(c.udf_name for c in self.functions)
            ],
            "label_columns": list(self.label),
            "spine_columns": list(self.spine),
            "serialization_version": SERIALIZATION_VERSION,
        }
        if self.declared:
            document["declared_features"] = [dict(definition) for definition in self.declared.values()]
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: str) -> "FeatureSpec":
        """The spec of a `feature_spec.yaml`. Raises InvalidInput."""
        try:
            document = yaml.safe_load(text)
            if document["serialization_version"] > SERIALIZATION_VERSION:
                raise InvalidInput(
                    f"the feature spec has serialization_version {document['serialization_version']}, "
                    f"this Boathouse reads up to {SERIALIZATION_VERSION}: upgrade it"
                )
            return cls(
                tuple(_column(*item) for entry in document["input_columns"] for item in entry.items()),
                {name: _table(name, e) for entry in document["input_tables"] for name, e in entry.items()},
                tuple(document["label_columns"]),
                tuple(document["spine_columns"]),
                {n: _function(e) for entry in document.get("input_functions") or () for n, e in entry.items() if e},
                {d["name"]: d for d in document.get("declared_features") or ()},
            )
        except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(f"this is no feature spec that Boathouse wrote: {error!r}") from error

    def _table_entry(self, name: str) -> dict[str, Any]:
        table = self.tables[name]
        lookbacks = {lookup.lookback for lookup in self.lookups() if lookup.table == table}
        return {
            "lookback_window": _seconds(lookbacks.pop()) if len(lookbacks) == 1 else None,
            "table_version": table.version,
            "primary_keys": list(table.keys),
            "event_time": table.event_time,
            "known_time": table.known_time,
        }

    def _lookup(self, columns: list[InputColumn]) -> TableLookup:
        first = columns[0]
        return TableLookup(
            self.tables[first.table_name],
            first.lookup_key,
            first.timestamp_lookup_key,
            first.lookback,
            tuple((c.feature_name, c.name) for c in columns),
            {c.name: c.default for c in columns if c.default is not None},
        )

    def _times_only(self) -> set[str]:
        stored = [c for c in self.input_columns if c.source is Source.FEATURE_STORE]
        used = {key for c in stored for key in c.lookup_key}
        used |= {bound for c in self.functions for bound in c.input_bindings.values()} | set(
            self.model_columns
        )
        return {c.timestamp_lookup_key for c in stored if c.timestamp_lookup_key} - used


def needed(columns: Sequence[InputColumn]) -> tuple[InputColumn, ...]:
    """The columns that the model sees, and those that these need in turn."""
    by_name = {column.name: column for column in columns}
    wanted = {column.name for column in columns if column.include}
    fresh = wanted
    while fresh:
        fresh = {name for found in fresh if found in by_name for name in _takes(by_name[found])} - wanted
        wanted = wanted | fresh
    return tuple(column for column in columns if column.name in wanted)


def _takes(column: InputColumn) -> set[str]:
    times = {column.timestamp_lookup_key} if column.timestamp_lookup_key else set()
    return times | {*column.lookup_key, *column.input_bindings.values()}


def _fetch(column: InputColumn) -> tuple[object, ...]:
    return column.table_name, column.lookup_key, column.timestamp_lookup_key, column.lookback


def _entry(column: InputColumn, order: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"source": str(column.source), "data_type": column.data_type}
    if column.source is Source.FEATURE_STORE:
        at = column.timestamp_lookup_key
        entry |= {
            "table_name": column.table_name,
            "feature_name": column.feature_name,
            "lookup_key": list(column.lookup_key),
            "timestamp_lookup_key": [at] if at else [],
            "lookback_window": _seconds(column.lookback),
            "output_name": column.name,
        }
        if column.default is not None:
            # The published text loses the type, so the value stands beside it; YAML has no decimals.
            entry |= {"default_value_str": str(column.default)}
            if not isinstance(column.default, Decimal):
                entry["default_value"] = column.default
    if column.source is Source.ON_DEMAND:
        bindings = [{"parameter": p, "bound_to": c} for p, c in column.input_bindings.items()]
        entry |= {"udf_name": column.udf_name, "input_bindings": bindings, "output_name": column.name}
    return entry | {"include": column.include, "topological_ordering": order}


def _column(name: str, entry: Mapping[str, Any]) -> InputColumn:
    seconds = entry.get("lookback_window")
    return InputColumn(
        name,
        Source(entry["source"]),
        entry.get("data_type") or "",
        entry.get("include", True),
        entry.get("table_name") or "",
        entry.get("feature_name") or "",
        tuple(entry.get("lookup_key") or ()),
        next(iter(entry.get("timestamp_lookup_key") or ()), None),
        None if seconds is None else timedelta(seconds=seconds),
        _default(entry),
        entry.get("udf_name") or "",
        {b["parameter"]: b["bound_to"] for b in entry.get("input_bindings") or ()},
    )


def _default(entry: Mapping[str, Any]) -> Default | None:
    said: str | None = entry.get("default_value_str")
    if said and "default_value" not in entry and str(entry.get("data_type")).startswith("decimal"):
        return Decimal(said)
    value: Default | None = entry.get("default_value", said)
    return value


def _function_entry(facts: FunctionFacts | None) -> dict[str, Any]:
    if facts is None:
        return {}
    types = facts.parameter_types or ("",) * len(facts.parameters)
    named = [{"name": name, "type": kind} for name, kind in zip(facts.parameters, types, strict=True)]
    return {"parameters": named, "data_type": facts.data_type, "entry": facts.entry, "version": facts.version,
            "source": facts.source}  # fmt: skip


def _function(entry: Mapping[str, Any]) -> FunctionFacts:
    named = entry["parameters"]
    return FunctionFacts(
        tuple(p["name"] for p in named), entry["data_type"], tuple(p["type"] for p in named), entry["source"],
        entry["entry"], entry.get("version"),
    )  # fmt: skip


def _table(name: str, entry: Mapping[str, Any]) -> InputTable:
    keys = tuple(entry["primary_keys"])
    return InputTable(name, keys, entry["event_time"], entry["known_time"], entry["table_version"])


def _seconds(lookback: timedelta | None) -> float | None:
    return None if lookback is None else lookback.total_seconds()
