"""Rows of the online store as bytes: MessagePack for values, a fixed spelling of the key for keys."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import reduce
from hashlib import blake2b
from operator import index
from reprlib import repr as shown
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from boathouse.clock import parse_instant
from boathouse.errors import DuplicateKey, InvalidInput
from boathouse.features.online.packing import packed

Row = tuple[Any, ...]

_TUPLES = frozenset([tuple, list])
_LONGEST = 500  # LMDB takes 511 bytes
_HASHED = b"\xc1"  # the one byte that MessagePack never writes
_WORD = re.compile(r"[a-z_]+")
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_ZERO = date(1970, 1, 1).toordinal()
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
    if isinstance(value, bool):
        raise TypeError
    number = int(value) if isinstance(value, str) or (isinstance(value, float) and value.is_integer()) else index(value)
    if not _LEAST <= number <= _MOST:
        raise ValueError
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return str(value)


def _number(value: Any) -> float:
    return float(value) + 0.0  # -0.0 is 0.0


def _instant(value: Any) -> int:
    return (parse_instant(value) - _EPOCH) // timedelta(microseconds=1)


def _day(value: Any) -> int:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime) and value.time() != time():
        raise ValueError
    if not isinstance(value, date):
        raise TypeError
    return value.toordinal()


def _as_is(value: Any) -> Any:
    return value


def _truth(value: Any) -> bool:
    if value not in {True, False}:
        raise ValueError
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
_TAKEN: dict[type, str] = {
    bool: "true or false",
    Decimal: "a number",
    int: "a whole number of 64 bits",
    float: "a number",
    str: "text",
    datetime: "a time such as 2024-01-31T12:00:00Z",
    date: "a day such as 2024-01-31",
}


class KeyCodec:
    """Key tuples as bytes, the same for values equal under the key's types (1 and 1.0, any time zone)."""

    def __init__(self, names: Sequence[str], types: Sequence[str]) -> None:
        self._names = tuple(names)
        self._kinds = [python_type(name) for name in types]
        self._spell = tuple(_SPELLING.get(kind, _as_is) for kind in self._kinds)
        self._spelled_types = tuple(kind if kind in (int, str) else None for kind in self._kinds)
        self._plain_kinds = [frozenset([kind]) for kind in self._spelled_types]
        self._encode = msgspec.msgpack.Encoder().encode

    def encode(self, key: Sequence[Any]) -> bytes | None:
        """The bytes of a key; None where a part is null, which matches nothing. Raises InvalidInput."""
        if tuple(map(type, key)) != self._spelled_types:
            if None in key and len(key) == len(self._names):
                return None
            key = self._spelled(key)
        try:
            return _short(self._encode(key))
        except (OverflowError, TypeError, ValueError):  # what looked right, and is too large or no text
            return _short(self._encode(self._spelled(key)))

    def encode_many(self, keys: Sequence[Sequence[Any]]) -> list[bytes | None]:
        """`encode` of each, without a call for each where all have the types that are stored."""
        if len(keys) > 1 and self._plain(keys):
            with suppress(OverflowError, ValueError):  # one is too large, or no text
                return [part if len(part) <= _LONGEST else _short(part) for part in map(self._encode, keys)]
        return list(map(self.encode, keys))

    def _plain(self, keys: Sequence[Sequence[Any]]) -> bool:
        try:
            columns = list(zip(*keys, strict=True))
        except (TypeError, ValueError):
            return False
        kinds = [frozenset(map(type, column)) for column in (keys, *columns)]
        return kinds[0] <= _TUPLES and kinds[1:] == self._plain_kinds

    def encode_all(self, parts: Sequence[pa.Array]) -> list[bytes]:
        """The bytes of the keys of whole columns, which hold no null."""
        columns = (_spelled_column(part, kind) for part, kind in zip(parts, self._kinds, strict=True))
        spelled = list(map(self._encode, zip(*columns, strict=True)))
        if max(map(len, spelled), default=0) <= _LONGEST:
            return spelled
        return list(map(_short, spelled))

    def _spelled(self, key: Sequence[Any]) -> tuple[Any, ...]:
        if len(key) != len(self._names):
            raise InvalidInput(f"the key {tuple(key)!r} does not fit ({', '.join(self._names)}): one value for each")
        return tuple(map(self._part, self._names, self._kinds, self._spell, key))

    def _part(self, name: str, kind: type, spell: Callable[[Any], Any], part: Any) -> Any:
        try:
            spelled = spell(part)
            self._encode(spelled)
        except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
            taken = _TAKEN.get(kind, "a value that MessagePack has")
            raise InvalidInput(f"{shown(part)} does not fit the key {name!r}, which takes {taken}") from error
        return spelled


def _short(spelled: bytes) -> bytes:
    return spelled if len(spelled) <= _LONGEST else _HASHED + blake2b(spelled, digest_size=32).digest()


def row_decoder(types: Sequence[str]) -> Callable[[bytes], Row]:
    """From bytes to the tuple of values, each of its column's type or None."""
    decode: Callable[[bytes], Row] = msgspec.msgpack.Decoder(_row_type(types)).decode
    return decode


def rows_decoder(types: Sequence[str]) -> Callable[[bytes], list[Row | None]]:
    """From a MessagePack array of such rows, or null, to them."""
    decode: Callable[[bytes], list[Row | None]] = msgspec.msgpack.Decoder(list[_row_type(types) | None]).decode  # type: ignore[misc]
    return decode


def _row_type(types: Sequence[str]) -> Any:
    fields = [Any if (kind := python_type(name)) is object else kind | None for name in types]
    return tuple.__class_getitem__(tuple(fields))


class Encoded(NamedTuple):
    """Rows as bytes: their keys, and beside each its values."""

    keys: pa.LargeBinaryArray
    values: pa.LargeBinaryArray

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """One by one, as stores take them."""
        return zip(self.keys.to_pylist(), self.values.to_pylist(), strict=True)


def encoded_rows(batch: pa.RecordBatch, keys: KeyCodec, key_names: Sequence[str], columns: Sequence[str]) -> Encoded:
    """(key, values) of every row of a batch that has a whole key."""
    parts = [batch.column(name) for name in key_names]
    if any(part.null_count for part in parts):
        batch = batch.filter(reduce(pc.and_, (part.is_valid() for part in parts)))
        parts = [batch.column(name) for name in key_names]
    spelled = pa.array(keys.encode_all(parts), pa.large_binary())
    return Encoded(spelled, packed([batch.column(name) for name in columns], len(spelled)))


def sorted_chunks(rows: Iterable[Encoded], most: int, table: str) -> Iterator[Encoded]:
    """The rows sorted by key, about `most` at a time. Raises DuplicateKey when two of a chunk share one key."""
    pending: list[Encoded] = []
    for part in rows:
        pending.append(part)
        if sum(len(kept.keys) for kept in pending) >= most:
            yield _sorted(pending, table)
            pending = []
    if pending:
        yield _sorted(pending, table)


def distinct(rows: Iterable[Encoded], table: str) -> Iterator[Encoded]:
    """The rows as they come. Raises DuplicateKey when two of a part share one key."""
    for part in rows:
        if len(pc.unique(part.keys)) < len(part.keys):
            _sorted([part], table)
        yield part


def _sorted(parts: Sequence[Encoded], table: str) -> Encoded:
    keys, values = (pa.concat_arrays(side) for side in zip(*parts, strict=True))
    order = pc.array_sort_indices(keys)
    keys, values = keys.take(order), values.take(order)
    same = pc.index(pc.equal(keys.slice(1), keys.slice(0, max(len(keys) - 1, 0))), True).as_py()
    if same >= 0:
        raise duplicate(table, keys[same].as_py())
    return Encoded(keys, values)


def duplicate(table: str, key: bytes) -> DuplicateKey:
    """The error that names a doubled key."""
    which = "a long key" if key.startswith(_HASHED) else f"the key {msgspec.msgpack.decode(key)}"
    return DuplicateKey(f"two rows to publish in {table} share {which}: publish one row for each key")


def stored_type(column: pa.DataType) -> str:
    """The name of the type that is stored for an Arrow type."""
    return str(column.value_type if pa.types.is_dictionary(column) else column)


def python_type(name: str) -> type:
    """The Python type of a stored type; `object` where any value may come back."""
    word = _WORD.match(name)
    return _PYTHON.get(word.group(), object) if word else object


def _spelled_column(column: pa.Array, kind: type) -> list[Any]:
    """The key parts of a column as `_SPELLING` has them, without a call for each where that can be."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if kind is datetime:
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
    elif kind is date:
        return [days + _DAY_ZERO for days in column.cast(pa.date32()).cast(pa.int32()).to_pylist()]
    elif kind is Decimal:
        return list(map(_exact, column.to_pylist()))
    elif kind is float:
        return (column.cast(pa.float64()).to_numpy(zero_copy_only=False) + 0.0).tolist()  # type: ignore[no-any-return]
    return list[Any](column.to_pylist())
