"""Column types in Unity Catalog's three spellings: `type_text`, `type_name`, and Spark's JSON in `type_json`."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from boathouse.catalog import Column, TableInfo
from boathouse.errors import InvalidInput

_NAMES = {
    "boolean": "BOOLEAN", "tinyint": "BYTE", "smallint": "SHORT", "int": "INT", "bigint": "LONG", "float": "FLOAT",
    "double": "DOUBLE", "date": "DATE", "timestamp": "TIMESTAMP", "timestamp_ntz": "TIMESTAMP_NTZ", "string": "STRING",
    "binary": "BINARY", "decimal": "DECIMAL", "array": "ARRAY", "struct": "STRUCT", "map": "MAP", "void": "NULL",
}  # fmt: skip
_SPARK = {"tinyint": "byte", "smallint": "short", "int": "integer", "bigint": "long"}
_SYNONYMS = {"byte": "tinyint", "short": "smallint", "integer": "int", "long": "bigint", "bool": "boolean", "real": "float",
             "varchar": "string", "char": "string", "text": "string", "dec": "decimal", "numeric": "decimal"}  # fmt: skip
_ARROW = {
    "boolean": pa.bool_(), "tinyint": pa.int8(), "smallint": pa.int16(), "int": pa.int32(), "bigint": pa.int64(),
    "float": pa.float32(), "double": pa.float64(), "date": pa.date32(), "string": pa.string(), "binary": pa.binary(),
    "timestamp": pa.timestamp("us", tz="UTC"), "timestamp_ntz": pa.timestamp("us"),
}  # fmt: skip

Spark = str | dict[str, Any]
"""A type as Spark's JSON writes it: a word, or an object for arrays, maps and structs."""


def column_infos(table: TableInfo) -> list[dict[str, Any]]:
    """A table's columns as ColumnInfo."""
    return [_column_info(column, position, table) for position, column in enumerate(table.columns)]


def _column_info(column: Column, position: int, table: TableInfo) -> dict[str, Any]:
    nullable = column.name not in (*table.primary_keys, table.known_time)
    kind, details = spark_type(column.type), {"comment": column.comment} if column.comment else {}
    word = _word(kind)
    sizes = [int(n) for n in word.partition("(")[2].rstrip(")").split(",") if n]
    return {
        "name": column.name, "type_text": type_text(kind), "type_name": _NAMES[word.partition("(")[0]],
        "type_json": json.dumps({"name": column.name, "type": kind, "nullable": nullable, "metadata": details}),
        "type_precision": sizes[0] if sizes else 0, "type_scale": sizes[1] if sizes else 0, "position": position,
        "comment": column.comment or None, "nullable": nullable,
        "partition_index": table.partition_by.index(column.name) if column.name in table.partition_by else None,
        "mask": {"function_name": table.masks[column.name]} if column.name in table.masks else None,
    }  # fmt: skip


def arrow_schema(columns: Iterable[Mapping[str, Any]]) -> pa.Schema:
    """The Arrow schema of ColumnInfos, in their order. Raises InvalidInput."""
    placed = sorted(enumerate(columns), key=lambda c: (c[1].get("position") if c[1].get("position") is not None else c[0], c[0]))
    return pa.schema([pa.field(str(c.get("name") or ""), _given_type(c), bool(c.get("nullable", True))) for _, c in placed])


def partition_columns(columns: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The columns that a table is partitioned by, in order."""
    chosen = [c for c in columns if c.get("partition_index") is not None]
    return tuple(str(c["name"]) for c in sorted(chosen, key=lambda c: int(c["partition_index"])))


def _given_type(column: Mapping[str, Any]) -> pa.DataType:
    try:
        found = json.loads(column["type_json"]) if column.get("type_json") else None
    except ValueError as error:
        raise InvalidInput(f"the type_json of column {column.get('name')!r} is no JSON: {error}") from error
    if found is not None:
        return arrow_type(found["type"] if isinstance(found, dict) and "nullable" in found and "name" in found else found)
    if text := column.get("type_text"):
        return arrow_type(spark_type(str(text)))
    word = next((k for k, v in _NAMES.items() if v == column.get("type_name")), None)
    if word in (None, "array", "struct", "map"):
        raise InvalidInput(f"column {column.get('name')!r} needs a type_json or a type_text")
    if word == "decimal":
        word = f"decimal({column.get('type_precision') or 10},{column.get('type_scale') or 0})"
    return arrow_type(str(word))


def arrow_type(kind: Any) -> pa.DataType:
    """The Arrow type of a type in Spark's JSON. Raises InvalidInput."""
    if isinstance(kind, dict):
        match kind.get("type"):
            case "array":
                return pa.list_(arrow_type(kind["elementType"]))
            case "map":
                return pa.map_(arrow_type(kind["keyType"]), arrow_type(kind["valueType"]))
            case "struct":
                return pa.struct([pa.field(str(f["name"]), arrow_type(f["type"])) for f in kind["fields"]])
        raise InvalidInput(f"{kind.get('type')!r} is no type of a column")
    word = _plain(str(kind))
    if word.startswith("decimal"):
        return _decimal(word)
    if word not in _ARROW:
        raise InvalidInput(f"{kind!r} is no column type that Delta tables have here")
    return _ARROW[word]


def _decimal(word: str) -> pa.DataType:
    try:
        sizes = [int(n) for n in word.partition("(")[2].rstrip(")").split(",") if n.strip()]
        return pa.decimal128(*(sizes or [10, 0]))
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"{word!r} is no column type; write decimal(precision,scale), at most 38 digits") from error


def type_text(kind: Spark) -> str:
    """A type of Spark's JSON as SQL writes it."""
    if isinstance(kind, str):
        return _plain(kind)
    if kind["type"] == "array":
        return f"array<{type_text(kind['elementType'])}>"
    if kind["type"] == "map":
        return f"map<{type_text(kind['keyType'])},{type_text(kind['valueType'])}>"
    return "struct<" + ",".join(f"{f['name']}:{type_text(f['type'])}" for f in kind["fields"]) + ">"


def spark_type(text: str) -> Spark:
    """A type as SQL writes it (`array<struct<a:int>>`), in Spark's JSON. Raises InvalidInput."""
    word, bracket, inside = text.strip().partition("<")
    word = word.strip().lower()
    if bracket and not inside.endswith(">"):
        raise InvalidInput(f"{text!r} is no column type: a > is missing")
    if not bracket:
        plain = _plain(word)
        if plain.partition("(")[0] not in _NAMES:
            raise InvalidInput(f"{text!r} is no column type")
        return _SPARK.get(plain, plain)
    parts = list(_split(inside.strip().removesuffix(">")))
    if word == "array" and len(parts) == 1:
        return {"type": "array", "elementType": spark_type(parts[0]), "containsNull": True}
    if word == "map" and len(parts) == 2:
        return {"type": "map", "keyType": spark_type(parts[0]), "valueType": spark_type(parts[1]), "valueContainsNull": True}
    if word == "struct":
        return {"type": "struct", "fields": [_field(part) for part in parts]}
    raise InvalidInput(f"{text!r} is no column type")


def _field(part: str) -> dict[str, Any]:
    name, colon, kind = part.partition(":")
    if not colon:
        name, _, kind = part.strip().partition(" ")
    return {"name": name.strip().strip("`"), "type": spark_type(kind), "nullable": True, "metadata": {}}


def _split(inside: str) -> Iterator[str]:
    """The parts between commas that stand in no bracket."""
    depth, start = 0, 0
    for at, letter in enumerate(inside):
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            yield inside[start:at]
            start = at + 1
    yield inside[start:]


def _plain(word: str) -> str:
    """A simple type in our spelling; lengths of strings are dropped."""
    name, bracket, sizes = word.replace(" ", "").lower().partition("(")
    name = _SYNONYMS.get(name, name)
    return f"decimal({sizes or '10,0)'}" if name == "decimal" else name if name == "string" or not bracket else word


def _word(kind: Spark) -> str:
    return _plain(kind) if isinstance(kind, str) else str(kind["type"])
