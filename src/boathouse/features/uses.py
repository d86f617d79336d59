"""What a feature spec uses, short enough for a tag of the run that made a model."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from boathouse.errors import InvalidName
from boathouse.features.specs import FeatureSpec
from boathouse.names import parse

USES = "boathouse.features"
"""The run's tag."""
KEPT = "boathouse.declared_features"
"""The tag of a table that keeps declared features: their definitions."""

_LONGEST = 6_000


@dataclass(frozen=True)
class Uses:
    """Tables with their columns, as written, where none is named all of them; and functions."""

    tables: Mapping[str, Collection[str]] = field(default_factory=dict)
    functions: Collection[str] = ()

    def of_table(self, name: str, environment: str, columns: Collection[str] = ()) -> bool:
        """Whether it uses the table, and where `columns` are given one of those, seen from an environment."""
        return any(
            _full(written, environment) == name and (not columns or not used or not set(columns).isdisjoint(used))
            for written, used in self.tables.items()
        )

    def of_function(self, name: str, environment: str) -> bool:
        """Whether it uses the function, or declared feature, seen from an environment."""
        return any(_full(written, environment) == name for written in self.functions)

    def to_tag(self) -> str:
        """As JSON that MLflow does not cut; where there are too many columns for it, the tables alone."""
        body = {"tables": {t: sorted(c) for t, c in self.tables.items()}, "functions": sorted(self.functions)}
        text = json.dumps(body)
        if len(text) > _LONGEST:
            text = json.dumps({**body, "tables": dict.fromkeys(self.tables, ())})
        return text

    @classmethod
    def from_tag(cls, text: str) -> "Uses":
        """From `to_tag`; of what cannot be read, nothing."""
        try:
            body = json.loads(text)
            return cls({str(t): [str(c) for c in columns] for t, columns in body["tables"].items()}, list(body["functions"]))
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()


def uses_of(spec: FeatureSpec) -> Uses:
    """Tables with the columns that are looked up and their keys, functions, and the sources of declared features."""
    tables: dict[str, set[str]] = {
        name: {*t.keys, *filter(None, (t.event_time, t.known_time))} for name, t in spec.tables.items()
    }
    for column in spec.input_columns:
        if column.table_name:
            tables.setdefault(column.table_name, set()).add(column.feature_name)
    functions = {column.udf_name for column in spec.functions}
    declared: dict[str, list[frozenset[str]]] = {}
    for name, definition in spec.declared.items():
        declared.setdefault(source_of(definition), []).append(columns_of(definition))
        functions.add(str(definition.get("full_name") or name))
    for name, each in declared.items():
        every = all(each) and (name not in tables or tables[name])
        tables[name] = tables.get(name, set()).union(*each) if every else set()
    return Uses(tables, functions)


def columns_of(definition: Mapping[str, object]) -> frozenset[str]:
    """The columns of its source that a declared feature takes; none, which stands for all, where the source is SQL's."""
    source, operator = definition["source"], definition["operator"]
    assert isinstance(source, Mapping)
    assert isinstance(operator, Mapping)
    if source.get("filter_condition") or source.get("transformation_sql"):
        return frozenset()
    keys = definition["entity"]
    assert isinstance(keys, list)
    return frozenset(str(c) for c in (*keys, definition.get("timeseries_column"), operator.get("input")) if c)


def source_of(definition: Mapping[str, object]) -> str:
    """The table that a declared feature is computed from, as written."""
    source = definition["source"]
    assert isinstance(source, Mapping)
    return ".".join(str(source[k]) for k in ("catalog_name", "schema_name", "table_name") if source.get(k))


def _full(written: str, environment: str) -> str:
    try:
        return str(parse(written, environment))
    except InvalidName:
        return written
