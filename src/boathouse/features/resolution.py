"""Lookups resolved against the tables' facts: every name checked, every column placed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from boathouse.errors import InvalidInput, NotFound
from boathouse.features.data_types import family, feature_type, fits
from boathouse.features.lookups import FeatureFunction, FeatureLookup
from boathouse.features.specs import (
    FeatureSpec,
    FunctionFacts,
    InputColumn,
    InputTable,
    Source,
    TableFacts,
    needed,
)
from boathouse.names import nearest


def resolve(
    spine_columns: Mapping[str, str] | Sequence[str],
    lookups: Sequence[FeatureLookup | FeatureFunction],
    table_facts: Mapping[str, TableFacts],
    label: str | Sequence[str] | None = None,
    exclude_columns: Sequence[str] = (),
    *,
    function_facts: Mapping[str, FunctionFacts] | None = None,
) -> FeatureSpec:
    """The spec of a training set: the spine's columns, then looked-up features, then functions, in order.

    `spine_columns` may carry types (name -> type), which are then compared with those of the tables. A
    feature named like a spine column stays a feature, in the spine's place: the spine's values stand here,
    and it is looked up where rows do not bring it. Excluded columns that nothing needs are left out.
    Raises InvalidInput, or NotFound for a table or feature that is not there.
    """
    types = _spine_types(spine_columns)
    labels = (label,) if isinstance(label, str) else tuple(label or ())
    asked = [lookup for lookup in lookups if isinstance(lookup, FeatureLookup)]
    looked_up = [column for lookup in asked for column in _looked_up(lookup, table_facts, types, labels)]
    functions = [f for f in lookups if isinstance(f, FeatureFunction)]
    _check_outputs(labels, looked_up, functions, types)
    stored = {column.name: column for column in looked_up}
    columns = [
        stored.get(n) or InputColumn(n, Source.TRAINING_DATA, t) for n, t in types.items() if n not in labels
    ]
    columns += [column for column in looked_up if column.name not in types]
    columns += _computed(functions, function_facts or {}, {column.name: column.data_type for column in columns}, labels)
    _check_excluded(exclude_columns, labels, [column.name for column in columns])
    kept = needed([_seen(column, column.name not in exclude_columns) for column in columns])
    used = {column.table_name for column in kept}
    tables = {name: _table(name, facts) for name, facts in table_facts.items() if name in used}
    spine = tuple(name for name in types if name not in exclude_columns)
    called = {column.udf_name for column in kept}
    code = {name: facts for name, facts in (function_facts or {}).items() if name in called}
    return FeatureSpec(kept, tables, labels, spine, code)


def as_asked(spec: FeatureSpec) -> tuple[list[FeatureLookup | FeatureFunction], list[str]]:
    """The lookups and functions that a spec was resolved from, and the columns it leaves out."""
    lookups = [
        FeatureLookup(
            lookup.table.name,
            lookup.on,
            feature_names=[feature for feature, _ in lookup.columns],
            rename_outputs={feature: output for feature, output in lookup.columns if feature != output},
            timestamp_lookup_key=lookup.at,
            lookback_window=lookup.lookback,
            default_values=lookup.defaults,
        )
        for lookup in spec.lookups()
    ]
    functions = [
        FeatureFunction(udf_name=c.udf_name, input_bindings=c.input_bindings, output_name=c.name)
        for c in spec.functions
    ]
    times = {lookup.at for lookup in spec.lookups()}  # left out because they only choose rows
    excluded = [c.name for c in spec.input_columns if not c.include and c.name not in times]
    return [*lookups, *functions], excluded


def resolve_alone(
    features: Sequence[FeatureLookup | FeatureFunction],
    table_facts: Mapping[str, TableFacts],
    exclude_columns: Sequence[str] = (),
    *,
    function_facts: Mapping[str, FunctionFacts] | None = None,
) -> FeatureSpec:
    """A spec without a spine: its inputs are the keys, times and bound columns that nothing else gives.

    A lookup without a timestamp key takes the table's own name for it. Times only choose rows: online,
    where the newest row is served, no request carries them. Raises InvalidInput, NotFound.
    """
    dated = [_dated(f, table_facts) if isinstance(f, FeatureLookup) else f for f in features]
    lookups = [f for f in dated if isinstance(f, FeatureLookup)]
    functions = [f for f in dated if isinstance(f, FeatureFunction)]
    made = {f.output_name for f in functions}
    made |= {f.rename_outputs.get(n, n) for f in lookups for n in _features(f, _known(f.table_name, table_facts))}
    asked = [name for f in lookups for name in (*f.lookup_key, *([f.timestamp_lookup_key] if f.timestamp_lookup_key else []))]
    for function in functions:
        asked += _bindings(function, (function_facts or {}).get(function.udf_name)).values()
    spine = [name for name in dict.fromkeys(asked) if name not in made]
    spec = resolve(spine, dated, table_facts, None, exclude_columns, function_facts=function_facts)
    times = {f.timestamp_lookup_key for f in lookups}
    return replace(spec, input_columns=tuple(_seen(c, c.include and c.name not in times) for c in spec.input_columns))


def _dated(lookup: FeatureLookup, table_facts: Mapping[str, TableFacts]) -> FeatureLookup:
    times = _known(lookup.table_name, table_facts).times
    if lookup.timestamp_lookup_key or not times:
        return lookup
    return FeatureLookup(
        lookup.table_name,
        lookup.lookup_key,
        feature_names=lookup.feature_names,
        rename_outputs=lookup.rename_outputs,
        timestamp_lookup_key=times[0],
        lookback_window=lookup.lookback_window,
        default_values=lookup.default_values,
    )


def _known(table: str, table_facts: Mapping[str, TableFacts]) -> TableFacts:
    if table not in table_facts:
        raise NotFound(f"there is no feature table {table}{_nearest(table, table_facts)}")
    return table_facts[table]


def _spine_types(spine: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    if isinstance(spine, Mapping):
        return {name: feature_type(given) for name, given in spine.items()}
    return dict.fromkeys(spine, "")


def _looked_up(
    lookup: FeatureLookup,
    table_facts: Mapping[str, TableFacts],
    types: Mapping[str, str],
    labels: Sequence[str],
) -> list[InputColumn]:
    """The columns of one lookup."""
    table = lookup.table_name
    facts = _known(table, table_facts)
    on = _on(lookup, facts, types, labels)
    at = _at(lookup, facts, types)
    features = _features(lookup, facts)
    outputs = {lookup.rename_outputs.get(name, name): name for name in features}
    if len(outputs) < len(features):
        raise InvalidInput(f"two features of {table} get one output name: change rename_outputs")
    _check_defaults(lookup, facts, outputs)
    return [
        InputColumn(
            output,
            Source.FEATURE_STORE,
            feature_type(facts.columns[feature]),
            table_name=table,
            feature_name=feature,
            lookup_key=on,
            timestamp_lookup_key=at,
            lookback=lookup.lookback_window,
            default=lookup.default_values.get(output),
        )
        for output, feature in outputs.items()
    ]


def _on(
    lookup: FeatureLookup, facts: TableFacts, types: Mapping[str, str], labels: Sequence[str]
) -> tuple[str, ...]:
    """The lookup key in the order of the table's keys: by name if the names are equal, else by position."""
    table, given, keys = lookup.table_name, lookup.lookup_key, facts.keys
    if not keys:
        besides = " besides its times" if facts.primary_keys else ""
        raise InvalidInput(f"{table} has no primary keys{besides}, so nothing can be looked up in it: make it with one")
    if len(given) != len(keys):
        times = f" (the times {', '.join(facts.times)} are not part of it)" if facts.times else ""
        raise InvalidInput(
            f"the lookup key {_list(given)} of {table} has {len(given)} columns, "
            f"its keys are {_list(keys)}: give one column for each{times}"
        )
    for name in given:
        if name not in types:
            raise InvalidInput(
                f"the lookup key {name!r} of {table} is no column of the spine, which has {_list(types)}"
                f"{_nearest(name, types)}"
            )
        if name in labels:
            raise InvalidInput(
                f"the label {name!r} cannot be the lookup key of {table}: it is not known in time"
            )
    on = keys if set(given) == set(keys) else given
    for name, key in zip(on, keys, strict=True):
        spine, stored = family(types[name]), family(facts.columns.get(key, ""))
        if spine and stored and spine != stored:
            raise InvalidInput(
                f"the lookup key {name!r} is {types[name]}, the key {key!r} of {table} is "
                f"{feature_type(facts.columns[key])}: cast it, or reorder the lookup key ({_list(keys)})"
            )
    return on


def _at(lookup: FeatureLookup, facts: TableFacts, types: Mapping[str, str]) -> str | None:
    table, at = lookup.table_name, lookup.timestamp_lookup_key
    if not facts.times:
        if at or lookup.lookback_window is not None:
            raise InvalidInput(
                f"{table} has no timeseries column: leave out timestamp_lookup_key and lookback_window"
            )
        return None
    if at is None:
        raise InvalidInput(
            f"{table} keeps rows by {facts.times[0]}: give timestamp_lookup_key, the spine's time column"
        )
    if at not in types:
        raise InvalidInput(
            f"the timestamp_lookup_key {at!r} of {table} is no column of the spine, which has {_list(types)}"
            f"{_nearest(at, types)}"
        )
    if family(types[at]) not in ("", "time"):
        raise InvalidInput(f"the timestamp_lookup_key {at!r} of {table} is {types[at]}, not a timestamp: cast it")
    return at


def _features(lookup: FeatureLookup, facts: TableFacts) -> list[str]:
    own = {*facts.primary_keys, *facts.times}
    names = lookup.feature_names
    features = [c for c in facts.columns if c not in own] if names is None else list(dict.fromkeys(names))
    for name in (*features, *lookup.rename_outputs):
        if name not in facts.columns:
            raise NotFound(f"{lookup.table_name} has no feature {name!r}{_nearest(name, facts.columns)}")
    for name in lookup.rename_outputs:
        if name not in features:
            raise InvalidInput(
                f"rename_outputs renames {name!r}, which the lookup in {lookup.table_name} leaves out"
            )
    return features


def _check_defaults(lookup: FeatureLookup, facts: TableFacts, outputs: Mapping[str, str]) -> None:
    for output, value in lookup.default_values.items():
        if output not in outputs:
            raise InvalidInput(
                f"default_values names {output!r}, which is no output of the lookup in {lookup.table_name}; "
                f"outputs are {_list(outputs)}"
            )
        data_type = feature_type(facts.columns[outputs[output]])
        if not fits(value, data_type):
            raise InvalidInput(f"the default {value!r} of {output!r} does not fit its type {data_type}")


def _check_outputs(
    labels: Sequence[str],
    looked_up: Sequence[InputColumn],
    functions: Sequence[FeatureFunction],
    types: Mapping[str, str],
) -> None:
    for name in labels:
        if name not in types:
            raise InvalidInput(
                f"the label {name!r} is no column of the spine, which has {_list(types)}{_nearest(name, types)}"
            )
    seen: dict[str, str] = {}
    for name in (*(column.name for column in looked_up), *(function.output_name for function in functions)):
        if name.casefold() in seen:
            raise InvalidInput(f"two features are named {name!r}: rename one (rename_outputs, output_name)")
        seen[name.casefold()] = name
    for name in types:
        output = seen.get(name.casefold(), name)
        if output != name:
            raise InvalidInput(
                f"the feature {output!r} and the spine's {name!r} differ only in case: rename one"
            )
        if name.casefold() in seen and name in labels:
            raise InvalidInput(f"the label {name!r} is the name of a feature too: rename one")


def _computed(
    functions: Sequence[FeatureFunction],
    facts: Mapping[str, FunctionFacts],
    available: Mapping[str, str],
    labels: Sequence[str],
) -> list[InputColumn]:
    """On-demand columns, ordered so that each stands after those it takes; `available` are columns with their types."""
    waiting = [(function, _bindings(function, facts.get(function.udf_name))) for function in functions]
    there, columns = dict(available), list[InputColumn]()
    while waiting:
        ready = [item for item in waiting if there.keys() >= set(item[1].values())]
        if not ready:
            raise InvalidInput(_lacking(waiting, there, labels))
        for function, bindings in ready:
            found = facts.get(function.udf_name)
            _check_types(function, found, bindings, there)
            kind = feature_type(found.data_type) if found else ""
            columns.append(
                InputColumn(
                    function.output_name, Source.ON_DEMAND, kind, udf_name=function.udf_name, input_bindings=bindings
                )
            )
            there[function.output_name] = kind
        waiting = [item for item in waiting if item not in ready]
    return columns


def _lacking(
    waiting: Sequence[tuple[FeatureFunction, Mapping[str, str]]], there: Collection[str], labels: Sequence[str]
) -> str:
    """Which column a function waits for in vain."""
    to_come = {function.output_name for function, _ in waiting}
    in_vain = ((f, p, c) for f, bound in waiting for p, c in bound.items() if c not in there and c not in to_come)
    function, parameter, column = next(in_vain, (None, "", ""))
    if function is None:
        return f"{', '.join(sorted(to_come))} wait for each other's values: bind one of them to another column"
    name = function.udf_name
    if column in labels:
        return f"{parameter!r} of {name} is bound to the label {column!r}, which is not known when the model predicts"
    if parameter not in function.input_bindings:
        return (
            f"{name} takes {parameter!r}, and neither the spine nor a lookup has a column of that name: "
            f"bind it in input_bindings{_nearest(column, there)}"
        )
    return (
        f"{parameter!r} of {name} is bound to {column!r}, which is neither in the spine nor looked up{_nearest(column, there)}"
    )


def _check_types(
    function: FeatureFunction,
    facts: FunctionFacts | None,
    bindings: Mapping[str, str],
    types: Mapping[str, str],
) -> None:
    """Times are no numbers, and engines that take them for some take them for different ones."""
    declared = dict(zip(facts.parameters, facts.parameter_types, strict=False)) if facts else {}
    for parameter, kind in declared.items():
        column = bindings[parameter]
        families = {family(kind), family(types[column])}
        if "time" in families and families & {"number", "boolean"}:
            raise InvalidInput(
                f"{parameter!r} of {function.udf_name} is {feature_type(kind)}, and {column!r} is {types[column]}: "
                "bind another column, or cast it"
            )


def _bindings(function: FeatureFunction, facts: FunctionFacts | None) -> dict[str, str]:
    given = dict(function.input_bindings)
    if facts is None:
        return given
    for parameter in given:
        if parameter not in facts.parameters:
            near = _nearest(parameter, facts.parameters) or f"; it takes {_list(facts.parameters)}"
            raise InvalidInput(f"{function.udf_name} has no parameter {parameter!r}{near}")
    return {parameter: given.get(parameter, parameter) for parameter in facts.parameters}


def _check_excluded(excluded: Sequence[str], labels: Sequence[str], names: Sequence[str]) -> None:
    for name in excluded:
        if name in labels:
            raise InvalidInput(f"the label {name!r} cannot be excluded")
        if name not in names:
            near = _nearest(name, names) or f"; there are {_list(names)}"
            raise InvalidInput(f"exclude_columns names {name!r}, which is no column{near}")


def _seen(column: InputColumn, include: bool) -> InputColumn:
    return column if include else replace(column, include=False)


def _table(name: str, facts: TableFacts) -> InputTable:
    return InputTable(name, facts.keys, facts.timeseries_column, facts.known_time_column, facts.version)


def _nearest(name: str, known: Iterable[str]) -> str:
    found = nearest(name, known)
    return f"; did you mean {found!r}?" if found else ""


def _list(names: Iterable[str]) -> str:
    return "(" + ", ".join(names) + ")"
