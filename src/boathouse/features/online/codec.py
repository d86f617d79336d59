"""Rows of the online store as bytes: MessagePack for values, a fixed spelling of the key for keys."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from itertools import pairwise
from operator import index
from typing import Any

import msgspec
import pyarrow as pa

from boathouse.clock import parse_instant
from boathouse.errors import DuplicateKey, InvalidInput

Row = tuple[Any, ...]

_LONGEST = 500  # LMDB takes 511 bytes
_HASHED = b"\xc1"  # the one byte that MessagePack never writes
_WORD = re.compile(r"[a-z_]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PYTHON: dict[str, type] = {
    "bool": bool,
    "int": int,
    "uint": int,
    "halffloat": float,
    "float": float,
    "double": float,
    "string": str,
    "large_string": str,
    "string_view": str,
    "date": date,
    "timestamp": datetime,
    "decimal": Decimal,
    "binary": bytes,
    "large_binary": bytes,
}


def _whole(value: Any) -> int:
    if isinstance(value, str) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return index(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no string")
    return str(value)


def _number(value: Any) -> float:
    return float(value) + 0.0  # -0.0 is 0.0


def _instant(value: Any) -> int:
    return (parse_instant(value) - _EPOCH) // timedelta(microseconds=1)


def _day(value: Any) -> int:
    return (date.fromisoformat(value) if isinstance(value, str) else value).toordinal()


def _as_is(value: Any) -> Any:
    return value


def _truth(value: Any) -> bool:
    if value not in {True, False}:
        raise ValueError(f"{value!r} is neither true nor false")
    return bool(value)


def _exact(value: Any) -> str:
    return str(Decimal(str(value)).normalize())


_SPELLING: dict[type, Callable[[Any], Any]] = {
    bool: _truth,
    Decimal: _exact,
    int: _whole,
    float: _number,
    str: _text,
    datetime: _instant,
    date: _day,
}


class KeyCodec:
    """Key tuples as bytes, the same for values equal under the key's types (1 and 1.0, any time zone)."""

    def __init__(self, names: Sequence[str], types: Sequence[str]) -> None:
        self._names = tuple(names)
        kinds = [python_type(name) for name in types]
        self._spell = tuple(_SPELLING.get(kind, _as_is) for kind in kinds)
        self._spelled_types = tuple(kind if kind in (int, str) else None for kind in kinds)
        self._encode = msgspec.msgpack.Encoder().encode

    def encode(self, key: Sequence[Any]) -> bytes | None:
        """The bytes of a key; None where a part is null, which matches nothing. Raises InvalidInput."""
        if tuple(map(type, key)) != self._spelled_types:
            if None in key and len(key) == len(self._names):
                return None
            key = self._spelled(key)
        spelled = self._encode(key)
        if len(spelled) <= _LONGEST:
            return spelled
        return _HASHED + blake2b(spelled, digest_size=32).digest()

    def _spelled(self, key: Sequence[Any]) -> tuple[Any, ...]:
        try:
            return tuple(spell(part) for spell, part in zip(self._spell, key, strict=True))
        except (ArithmeticError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"the key {tuple(key)!r} does not fit ({', '.join(self._names)}): {error}"
            ) from error


def row_decoder(types: Sequence[str]) -> Callable[[bytes], Row]:
    """From bytes to the tuple of values, each of its column's type or None."""
    fields = [Any if (kind := python_type(name)) is object else kind | None for name in types]
    decode: Callable[[bytes], Row] = msgspec.msgpack.Decoder(tuple.__class_getitem__(tuple(fields))).decode
    return decode


def encoded_rows(
    batch: pa.RecordBatch, keys: KeyCodec, key_names: Sequence[str], columns: Sequence[str]
) -> Iterator[tuple[bytes, bytes]]:
    """(key, values) of every row of a batch that has a whole key."""
    encode = msgspec.msgpack.Encoder().encode
    key_rows = zip(*(_values(batch.column(name)) for name in key_names), strict=True)
    rows = zip(*(_values(batch.column(name)) for name in columns), strict=True) if columns else iter(())
    for key in key_rows:
        values = next(rows, ())
        spelled = keys.encode(key)
        if spelled is not None:
            yield spelled, encode(values)


def check_sorted_unique(items: Sequence[tuple[bytes, bytes]], table: str) -> None:
    """Raises DuplicateKey when two of the sorted rows share one key."""
    for (first, _), (second, _) in pairwise(items):
        if first == second:
            raise duplicate(table, first)


def duplicate(table: str, key: bytes) -> DuplicateKey:
    """The error that names a doubled key."""
    shown = "a long key" if key.startswith(_HASHED) else f"the key {msgspec.msgpack.decode(key)}"
    return DuplicateKey(f"two rows to publish in {table} share {shown}: publish one row for each key")


def stored_type(column: pa.DataType) -> str:
    """The name of the type that is stored for an Arrow type."""
    return str(column.value_type if pa.types.is_dictionary(column) else column)


def python_type(name: str) -> type:
    """The Python type of a stored type; `object` where any value may come back."""
    word = _WORD.match(name)
    return _PYTHON.get(word.group(), object) if word else object


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return list[Any](column.to_pylist())
