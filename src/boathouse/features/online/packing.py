"""Rows of Arrow columns as MessagePack, whole columns at a time: what `msgspec` reads back row by row.

A column becomes one or two lanes: cells of one width, or of any; a lane's null is the byte that MessagePack has for it.
Putting lanes side by side is a copy of bytes, and no value becomes a Python object.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from boathouse.errors import InvalidInput

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
_NULL = 0xC0
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999  # microseconds of the years 1 and 9999
_TAGS = {
    "int8": 0xD0, "int16": 0xD1, "int32": 0xD2, "int64": 0xD3, "uint8": 0xCC, "uint16": 0xCD, "uint32": 0xCE, "uint64": 0xCF,
    "float": 0xCA, "double": 0xCB,
}  # fmt: skip


class _Even(NamedTuple):
    """Cells of one width, [rows, width]; where `absent`, a single null."""

    cells: Bytes
    absent: Flags | None


class _Uneven(NamedTuple):
    """Cells of any width, end to end; `offsets` has one more than there are rows."""

    content: Bytes
    offsets: npt.NDArray[np.int64]


_Lane = _Even | _Uneven


def packed(columns: Sequence[pa.Array], rows: int) -> pa.LargeBinaryArray:
    """Each row as one MessagePack array of its values. Raises InvalidInput for times that Python has not."""
    size = len(columns)
    head = bytes([0x90 | size]) if size < 16 else b"\xdc" + size.to_bytes(2, "big")
    lanes: list[_Lane] = [_Even(np.tile(np.frombuffer(head, np.uint8), (rows, 1)), None)]
    for column in columns:
        lanes += _lanes(column)
    even = [lane.cells for lane in lanes if isinstance(lane, _Even) and lane.absent is None]
    if len(even) == len(lanes):
        content = np.hstack(even)
        offsets = np.arange(rows + 1, dtype=np.int64) * content.shape[1]
    else:
        content, offsets = _beside(lanes, rows)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(content))]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), rows, buffers)


def _beside(lanes: Sequence[_Lane], rows: int) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """Lanes of which some have cells of several widths, row after row."""
    widths = [_widths(lane, rows) for lane in lanes]
    *starts, total = accumulate(widths, initial=np.zeros(rows, np.int64))
    offsets = np.concatenate([[0], np.cumsum(total)]).astype(np.int64)
    content = np.empty(int(offsets[-1]), np.uint8)
    for lane, start, width in zip(lanes, starts, widths, strict=True):
        at = offsets[:-1] + start
        if isinstance(lane, _Even):
            here = slice(None) if lane.absent is None else ~lane.absent
            for byte in range(lane.cells.shape[1]):
                content[at[here] + byte] = lane.cells[here, byte]
            if lane.absent is not None:
                content[at[lane.absent]] = _NULL
        else:
            content[np.repeat(at - lane.offsets[:-1], width) + np.arange(len(lane.content))] = lane.content
    return content, offsets


def _widths(lane: _Lane, rows: int) -> npt.NDArray[np.int64]:
    if isinstance(lane, _Uneven):
        return np.diff(lane.offsets)
    full = np.full(rows, lane.cells.shape[1], np.int64)
    return full if lane.absent is None else np.where(lane.absent, 1, full)


def _lanes(column: pa.Array) -> list[_Lane]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        return [_Even(_instants(column), _absent(column))]
    if str(column.type) in _TAGS:
        values = _filled(column)
        return [_Even(_tagged(_TAGS[str(column.type)], values.astype(values.dtype.newbyteorder(">"))), _absent(column))]
    if pa.types.is_boolean(column.type):
        return [_Even((0xC2 + _filled(column, False)).astype(np.uint8).reshape(-1, 1), _absent(column))]
    if (as_text := _as_text(column)) is not None:
        return _texts(as_text, 0xDB)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return _texts(column, 0xC6)
    return [_one_by_one(column)]


def _as_text(column: pa.Array) -> pa.Array | None:
    """What MessagePack has no form for, and Python reads from text."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _microseconds(column).cast(pa.large_string())
    if pa.types.is_date64(kind):
        column = column.cast(pa.date32())
    worded = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_date, pa.types.is_decimal)
    return column.cast(pa.large_string()) if any(matches(kind) for matches in worded) else None


def _texts(column: pa.Array, tag: int) -> list[_Lane]:
    """Text or bytes: a lane of tag and length, and one of what they hold."""
    binary = column.cast(pa.large_binary())
    lengths = _filled(pc.binary_length(binary)).astype(">u4")
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return [_Even(_tagged(tag, lengths), _absent(column)), _Uneven(_content(binary), offsets)]


def _content(binary: pa.Array) -> Bytes:
    whole = pc.fill_null(binary, b"")  # without nulls the bytes lie end to end
    first, last = (np.frombuffer(whole.buffers()[1], np.int64)[whole.offset + i] for i in (0, len(whole)))
    data = whole.buffers()[2]
    return np.frombuffer(data, np.uint8)[first:last] if data is not None else np.empty(0, np.uint8)


def _one_by_one(column: pa.Array) -> _Lane:
    encode: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode
    cells = list(map(encode, column.to_pylist()))
    offsets = np.fromiter(accumulate(map(len, cells), initial=0), np.int64, len(cells) + 1)
    return _Uneven(np.frombuffer(b"".join(cells), np.uint8), offsets)


def _instants(column: pa.Array) -> Bytes:
    """MessagePack's own timestamp: an extension of 12 bytes, nanoseconds and seconds."""
    moments = _filled(_microseconds(column).cast(pa.int64()))
    seconds, rest = np.divmod(moments, 1_000_000)
    cells = np.empty(len(moments), np.dtype([("head", "u1", 3), ("nanos", ">u4"), ("seconds", ">i8")]))
    cells["head"], cells["nanos"], cells["seconds"] = (0xC7, 12, 0xFF), rest * 1000, seconds
    return _as_bytes(cells)


def _microseconds(column: pa.Array) -> pa.Array:
    found = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    bounds = pc.min_max(found.cast(pa.int64()))
    if bounds["min"].is_valid and not _FIRST <= bounds["min"].as_py() <= bounds["max"].as_py() <= _LAST:
        raise InvalidInput("a time lies outside the years 1 to 9999, so it cannot be served: correct it, or leave it null")
    return found


def _tagged(tag: int, values: npt.NDArray[Any]) -> Bytes:
    cells = np.empty(len(values), np.dtype([("tag", "u1"), ("value", values.dtype)]))
    cells["tag"], cells["value"] = tag, values
    return _as_bytes(cells)


def _as_bytes(cells: npt.NDArray[Any]) -> Bytes:
    return cells.view(np.uint8).reshape(len(cells), cells.itemsize)


def _filled(column: pa.Array, instead: Any = 0) -> npt.NDArray[Any]:
    whole = pc.fill_null(column, instead) if column.null_count else column
    values: npt.NDArray[Any] = whole.to_numpy(zero_copy_only=False)
    return values


def _absent(column: pa.Array) -> Flags | None:
    if not column.null_count:
        return None
    absent: Flags = column.is_null().to_numpy(zero_copy_only=False)
    return absent
