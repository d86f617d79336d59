"""Lists and structs inside JSON: their structure as DuckDB tells it, and as Arrow types."""

import json
from typing import Any

import pyarrow as pa

from boathouse.errors import InvalidInput

Structure = Any
"""A type's name, a list that holds one structure, or an object of them."""

_LEAVES: dict[str, pa.DataType] = {
    "BOOLEAN": pa.bool_(), "BIGINT": pa.int64(), "UBIGINT": pa.int64(), "HUGEINT": pa.float64(), "DOUBLE": pa.float64(),
    "VARCHAR": pa.string(), "JSON": pa.string(), "NULL": pa.string(),
}  # fmt: skip


def arrow_type(structure: Structure) -> pa.DataType:
    """The Arrow type that holds every value of a structure; text where they differ in kind."""
    if isinstance(structure, list):
        return pa.list_(arrow_type(structure[0]) if structure else pa.string())
    if isinstance(structure, dict):
        folded = {key.casefold() for key in structure}
        if not structure or len(folded) < len(structure):
            return pa.string()  # engines cannot tell `id` from `ID`
        return pa.struct([(key, arrow_type(inner)) for key, inner in structure.items()])
    return _LEAVES.get(str(structure), pa.string())


def json_type(kind: pa.DataType) -> str:
    """The structure, as JSON, that makes DuckDB read a type out of JSON. Raises InvalidInput for one that JSON has not."""
    return json.dumps(_structure(kind))


def _structure(kind: pa.DataType) -> Structure:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [_structure(kind.value_type)]
    if pa.types.is_struct(kind):
        return {field.name: _structure(field.type) for field in kind}
    if pa.types.is_map(kind) or pa.types.is_binary(kind):
        raise InvalidInput(f"a column of type {kind} is not read from text; load it through Python")
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP WITH TIME ZONE"
    named = {"string": "VARCHAR", "int64": "BIGINT", "int32": "INTEGER", "int16": "SMALLINT", "int8": "TINYINT",
             "double": "DOUBLE", "float": "FLOAT", "bool": "BOOLEAN", "date32[day]": "DATE"}  # fmt: skip
    return named.get(str(kind)) or f"DECIMAL({kind.precision},{kind.scale})"


def fits(structure: Structure, kind: pa.DataType) -> bool:
    """Whether every value of a structure can be read as a type."""
    if structure == "NULL" or pa.types.is_string(kind):
        return True
    if isinstance(structure, list):
        return bool(pa.types.is_list(kind)) and (not structure or fits(structure[0], kind.value_type))
    if isinstance(structure, dict):
        if not pa.types.is_struct(kind):
            return False
        known = {field.name: field.type for field in kind}
        return all(key in known and fits(inner, known[key]) for key, inner in structure.items())
    whole, real = pa.types.is_integer(kind), pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    temporal = pa.types.is_temporal(kind)
    holds = {"BIGINT": whole or real, "UBIGINT": whole or real, "HUGEINT": real, "DOUBLE": real, "VARCHAR": temporal,
             "BOOLEAN": pa.types.is_boolean(kind)}  # fmt: skip
    return bool(holds.get(str(structure), False))
