"""Feature types by their published names, and which of them can be compared."""

from decimal import Decimal

from boathouse.features.lookups import Default

_PUBLISHED = {
    "bigint": "long",
    "blob": "binary",
    "bool": "boolean",
    "date32": "date",
    "float32": "float",
    "float64": "double",
    "int16": "short",
    "int32": "int",
    "int64": "long",
    "int8": "byte",
    "integer": "int",
    "large_binary": "binary",
    "large_string": "string",
    "real": "float",
    "smallint": "short",
    "string_view": "string",
    "text": "string",
    "timestamp with time zone": "timestamp",
    "timestamptz": "timestamp",
    "tinyint": "byte",
    "utf8": "string",
    "varchar": "string",
}
_WHOLE = {"byte", "short", "int", "long", "hugeint", "ubigint", "uinteger", "usmallint", "utinyint"}
_TIMES = {"date", "timestamp", "timestamp_ntz", "timestamp_s", "timestamp_ms", "timestamp_ns"}


def feature_type(given: str) -> str:
    """The published name (int, long, double, string, …) of a Delta, Arrow or SQL type; others unchanged."""
    name = given.strip().lower()
    if name.startswith("timestamp["):
        return "timestamp"
    return _PUBLISHED.get(name, name)


def family(given: str) -> str:
    """Types of one family compare without a surprise: number, string, boolean, time; "" if unknown."""
    name = feature_type(given)
    if name in _WHOLE or name in {"float", "double"} or name.startswith("decimal"):
        return "number"
    return "time" if name in _TIMES else name


def fits(value: Default, data_type: str) -> bool:
    """Whether a default can stand in a column of that type."""
    kind = family(data_type)
    if isinstance(value, Decimal):
        return feature_type(data_type).startswith("decimal")
    if kind == "number":
        whole = feature_type(data_type) in _WHOLE
        return not isinstance(value, bool) and isinstance(value, int if whole else int | float)
    if kind == "boolean":
        return isinstance(value, bool)
    return kind != "string" or isinstance(value, str)
