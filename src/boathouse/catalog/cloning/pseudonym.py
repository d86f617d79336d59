"""Other values for keys, by a secret: equal for equal keys in every table, so that joins still meet.

Whole numbers go through a keyed permutation (a Feistel network), so that different keys stay different; texts become
words of letters and digits; times move by one distance that the secret gives. Who knows the secret can go back; who
does not learns only which rows share a key.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from hashlib import blake2b

import pyarrow as pa
import pyarrow.compute as pc

_ROUNDS = 4
_BITS = {8: 6, 16: 14, 32: 30, 64: 52}
"""Of each width of whole number, the low bits that are permuted; the others stay, and so do the type and the sign."""

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_CALENDAR = 30_681
"""Days of 84 years: weekdays and days of the month come back to where they were."""


@dataclass(frozen=True)
class Pseudonyms:
    """The mapping that one secret gives."""

    secret: bytes

    def of(self, column: str, values: pa.Array) -> pa.Array:
        """The keys of a column as others; the name and the type of the column are part of the secret. Nulls stay."""
        kind = values.type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return self.shifted(values)
        change = self._change(column, kind)
        if change is None:
            return values
        encoded = pc.dictionary_encode(values)
        words = [None if value is None else change(value) for value in encoded.dictionary.to_pylist()]
        return pa.array(words, kind).take(encoded.indices)

    def shifted(self, times: pa.Array) -> pa.Array:
        """Times moved by the secret's distance: some 84 years back, on the same weekday, none where one was before."""
        weeks = int.from_bytes(self._digest("weeks", b"", 2), "big") % 53 - 26
        distance = timedelta(days=_CALENDAR + 7 * weeks)
        if pa.types.is_date(times.type):
            return pc.subtract(times.cast(pa.int32()), pa.scalar(distance.days, pa.int32())).cast(times.type)
        part = 1 + int.from_bytes(self._digest("part", b"", 4), "big") % 999_999
        moved = distance.days * 86_400_000_000 - part  # a part of a second later, on the same day
        micros = times.cast(pa.timestamp("us", times.type.tz)).cast(pa.int64())
        return pc.subtract(micros, pa.scalar(moved, pa.int64())).cast(pa.timestamp("us", times.type.tz)).cast(times.type)

    def _change(self, column: str, kind: pa.DataType) -> Callable[[object], object] | None:
        label = column.lower()
        if pa.types.is_integer(kind):
            return lambda value: self._permuted(label, int(value), _BITS[kind.bit_width])  # type: ignore[call-overload]
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return lambda value: self._word(label, str(value))
        if pa.types.is_binary(kind):
            return lambda value: self._digest(label, bytes(value), 16)  # type: ignore[call-overload]
        if pa.types.is_decimal(kind):
            return lambda value: self._decimal(label, value, kind)  # type: ignore[arg-type]
        if pa.types.is_floating(kind):
            return lambda value: float(int.from_bytes(self._digest(label, repr(value).encode(), 3), "big"))
        return None

    def _decimal(self, label: str, value: Decimal, kind: pa.DataType) -> Decimal:
        digits = int(value.scaleb(kind.scale))
        bits = 2 * math.ceil(kind.precision * math.log2(10) / 2)
        found = self._permuted(label, digits, bits)
        while abs(found) >= 10**kind.precision:  # the permutation of all bits, walked on until it is a number of as many digits
            found = self._permuted(label, found, bits)
        return Decimal(found).scaleb(-kind.scale)

    def _permuted(self, label: str, value: int, bits: int) -> int:
        if value < 0:
            return -1 - self._permuted(label, -1 - value, bits)
        half = bits // 2
        mask = (1 << half) - 1
        rest, left, right = value >> bits, (value >> half) & mask, value & mask
        for turn in range(_ROUNDS):
            mixed = self._digest(f"{label}:{bits}:{turn}", right.to_bytes(10, "big"), 10)
            left, right = right, left ^ (int.from_bytes(mixed, "big") & mask)
        return (rest << bits) | (left << half) | right

    def _word(self, label: str, value: str) -> str:
        number = int.from_bytes(self._digest(label, value.encode(), 8), "big")
        return "".join(_LETTERS[number >> shift & 31] for shift in range(0, 60, 5))

    def _digest(self, label: str, value: bytes, size: int) -> bytes:
        return blake2b(len(label).to_bytes(2, "big") + label.encode() + value, digest_size=size, key=self.secret).digest()
