"""As much of protobuf's wire format as Flight SQL's messages take: strings, bytes, numbers and flags in numbered fields.

pyarrow has no classes for these messages, and generated ones would come with a compiler. Unknown fields are skipped.
"""

from collections.abc import Iterator, Sequence

from boathouse.errors import InvalidInput

_ANY = "type.googleapis.com/arrow.flight.protocol.sql."
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Value = int | bool | str | bytes | None
Fields = dict[int, list[int | bytes]]


def written(*fields: tuple[int, Value]) -> bytes:
    """A message of (number, value) fields; None and defaults of proto3 may be left out by whoever writes."""
    out = bytearray()
    for number, value in fields:
        if value is None:
            continue
        if isinstance(value, int):
            out += _varint(number << 3 | _VARINT) + _varint(int(value))
        else:
            data = value.encode() if isinstance(value, str) else value
            out += _varint(number << 3 | _BYTES) + _varint(len(data)) + data
    return bytes(out)


def read(message: bytes) -> Fields:
    """The fields of a message: number -> values in order. Raises InvalidInput."""
    found: Fields = {}
    try:
        for number, value in _read(memoryview(message)):
            found.setdefault(number, []).append(value)
    except (IndexError, ValueError) as error:
        raise InvalidInput("the message is no protobuf") from error
    return found


def text(fields: Fields, number: int) -> str | None:
    """A string field, if it is there. Raises InvalidInput for what is no text."""
    value = data(fields, number)
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput("a string of the message is no UTF-8") from error


def data(fields: Fields, number: int) -> bytes | None:
    """A bytes field, if it is there."""
    values = fields.get(number)
    return values[-1] if values and isinstance(values[-1], bytes) else None


def flag(fields: Fields, number: int) -> bool:
    """A Boolean field."""
    values = fields.get(number)
    return bool(values and values[-1])


def numbers(fields: Fields, number: int) -> list[int]:
    """A repeated number, packed or not."""
    found: list[int] = []
    for value in fields.get(number, ()):
        if isinstance(value, int):
            found.append(value)
        else:
            view, at = memoryview(value), 0
            while at < len(view):
                one, at = _read_varint(view, at)
                found.append(one)
    return found


def packed_in_any(name: str, message: bytes) -> bytes:
    """A Flight SQL message inside protobuf's Any."""
    return written((1, _ANY + name), (2, message))


def unpacked(message: bytes) -> tuple[str, bytes]:
    """(name, message) out of an Any. Raises InvalidInput for what is none of Flight SQL's."""
    fields = read(message)
    name = text(fields, 1) or ""
    if not name.startswith(_ANY):
        raise InvalidInput("this server speaks Arrow Flight SQL: the command is none of its messages")
    return name.removeprefix(_ANY), data(fields, 2) or b""


def strings(fields: Fields, number: int) -> Sequence[str]:
    """A repeated string."""
    return [value.decode(errors="replace") for value in fields.get(number, ()) if isinstance(value, bytes)]


def _read(view: memoryview) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(view):
        key, at = _read_varint(view, at)
        kind, number = key & 7, key >> 3
        if kind == _VARINT:
            value, at = _read_varint(view, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _read_varint(view, at)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(kind, -1)
        if size < 0 or at + size > len(view):
            raise ValueError
        yield number, bytes(view[at : at + size])
        at += size


def _read_varint(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
