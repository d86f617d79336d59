"""What a training set asks for: the published client's FeatureLookup and FeatureFunction."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType

from boathouse.errors import InvalidInput

Default = bool | int | float | str | Decimal


@dataclass(frozen=True, init=False)
class FeatureLookup:
    """Features of one table, looked up by columns of the spine.

    `lookup_key` names spine columns in the order of the table's keys. `feature_names` None means every
    feature the table has when the lookup is resolved. `default_values` go by the renamed output. A
    `lookback_window` of 0 asks for the exact time. `feature_name` and `output_name` are deprecated.
    Raises InvalidInput.
    """

    table_name: str
    lookup_key: tuple[str, ...]
    feature_names: tuple[str, ...] | None
    rename_outputs: Mapping[str, str]
    timestamp_lookup_key: str | None
    lookback_window: timedelta | None
    default_values: Mapping[str, Default]

    def __init__(
        self,
        table_name: str,
        lookup_key: str | Sequence[str],
        *,
        feature_names: str | Sequence[str] | None = None,
        rename_outputs: Mapping[str, str] | None = None,
        timestamp_lookup_key: str | Sequence[str] | None = None,
        lookback_window: timedelta | None = None,
        default_values: Mapping[str, Default] | None = None,
        feature_name: str | None = None,
        output_name: str | None = None,
    ) -> None:
        _check_kinds(table_name, lookup_key, lookback_window, rename_outputs, default_values)
        names = None if feature_names is None else _names(feature_names)
        renames = dict(rename_outputs or {})
        if feature_name is not None or output_name is not None:
            _check_old_names(table_name, names, renames, feature_name)
            names = (str(feature_name),)
            renames = {str(feature_name): output_name} if output_name else {}
        moments = _names(timestamp_lookup_key or ())
        if len(moments) > 1:
            raise InvalidInput(
                f"the lookup in {table_name} has {len(moments)} timestamp lookup keys; give one"
            )
        if lookback_window is not None and lookback_window < timedelta(0):
            raise InvalidInput(f"the lookback window of {table_name} is negative: {lookback_window}")
        set_field = object.__setattr__
        set_field(self, "table_name", table_name)
        set_field(self, "lookup_key", _names(lookup_key))
        set_field(self, "feature_names", names)
        set_field(self, "rename_outputs", MappingProxyType(renames))
        set_field(self, "timestamp_lookup_key", moments[0] if moments else None)
        set_field(self, "lookback_window", lookback_window)
        set_field(self, "default_values", MappingProxyType(dict(default_values or {})))


@dataclass(frozen=True, init=False)
class FeatureFunction:
    """A feature computed at scoring time: a function whose parameters are bound to columns.

    A parameter without a binding takes the column of its own name, where the function's parameters are
    known. The output is named like the function unless `output_name` says otherwise. Raises InvalidInput.
    """

    udf_name: str
    input_bindings: Mapping[str, str]
    output_name: str

    def __init__(
        self,
        *,
        udf_name: str,
        input_bindings: Mapping[str, str] | None = None,
        output_name: str | None = None,
    ) -> None:
        if not isinstance(udf_name, str):
            raise InvalidInput(f"a FeatureFunction's udf_name is the name of a registered function, not {udf_name!r}")
        if input_bindings is not None and not isinstance(input_bindings, Mapping):
            raise InvalidInput(f"input_bindings of {udf_name} is a dict of parameters and columns, not {input_bindings!r}")
        object.__setattr__(self, "udf_name", udf_name)
        object.__setattr__(self, "input_bindings", MappingProxyType(dict(input_bindings or {})))
        object.__setattr__(self, "output_name", output_name or udf_name)


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _check_kinds(
    table: object, keys: object, lookback: object, renames: object, defaults: object
) -> None:
    if not isinstance(table, str):
        raise InvalidInput(f"a lookup's table_name is the name of a table, not {table!r}")
    named = isinstance(keys, str) or (isinstance(keys, Sequence) and all(isinstance(k, str) for k in keys))
    if not named:
        raise InvalidInput(f"the lookup_key of {table} is a column's name or a list of them, not {keys!r}")
    if lookback is not None and not isinstance(lookback, timedelta):
        raise InvalidInput(
            f"the lookback_window of {table} is {lookback!r}: give a datetime.timedelta, for example timedelta(days=7)"
        )
    for argument, given in (("rename_outputs", renames), ("default_values", defaults)):
        if given is not None and not isinstance(given, Mapping):
            raise InvalidInput(f"{argument} of {table} is a dict by name, not {given!r}")


def _check_old_names(
    table: str, names: tuple[str, ...] | None, renames: Mapping[str, str], feature_name: str | None
) -> None:
    warnings.warn(
        "feature_name and output_name are deprecated; use feature_names and rename_outputs",
        DeprecationWarning,
        stacklevel=3,
    )
    if feature_name is None or names is not None or renames:
        raise InvalidInput(
            f"the lookup in {table} mixes feature_name and output_name with their successors; "
            "use feature_names and rename_outputs alone"
        )
