"""Rows that were never there: drawn column by column from profiles, around keys that are mapped one to one."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from boathouse.catalog.cloning.profile import ColumnProfile
from boathouse.catalog.cloning.pseudonym import Pseudonyms

_WORDS = (
    "amber", "anchor", "basin", "birch", "bridge", "canal", "cedar", "cloud", "coast", "copper", "coral", "delta", "ember",
    "falcon", "fern", "field", "flint", "forest", "garden", "glade", "granite", "grove", "harbor", "hazel", "heron",
    "island", "ivory", "juniper", "lagoon", "lantern", "larch", "maple", "marble", "meadow", "mill", "moss", "oak", "ocean",
    "orchard", "otter", "pebble", "pine", "prairie", "quarry", "quill", "raven", "reed", "ridge", "river", "sail", "sand",
    "shore", "silver", "slate", "spruce", "stone", "summit", "thistle", "timber", "valley", "willow",
)  # fmt: skip


class Generator:
    """Batches in, batches of the same columns out; of the rows that come in only the keys, and how many they are, go on."""

    def __init__(self, profiles: Sequence[ColumnProfile], pseudonyms: Pseudonyms) -> None:
        self._profiles = profiles
        self._pseudonyms = pseudonyms
        self._random = np.random.default_rng(np.frombuffer(pseudonyms.secret, np.uint8))

    def rows(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Made rows, as many as there are."""
        schema = pa.schema([pa.field(p.name, p.type, nullable=not p.required) for p in self._profiles])
        for batch in batches:
            yield pa.RecordBatch.from_arrays([self._column(p, batch) for p in self._profiles], schema=schema)

    def _column(self, profile: ColumnProfile, batch: pa.RecordBatch) -> pa.Array:
        if profile.kind == "key":
            return self._pseudonyms.of(profile.name, batch.column(profile.name))
        count = batch.num_rows
        made = {"number": self._numbers, "flag": self._flags, "category": self._categories, "text": self._texts,
                "nested": self._nested}.get(profile.kind)  # fmt: skip
        values = self._times(profile, batch.column(profile.name)) if made is None else made(profile, count)
        if profile.required or not profile.nulls or profile.kind == "time":
            return values
        return pc.if_else(pa.array(self._random.random(count) < profile.nulls), pa.scalar(None, profile.type), values)

    def _drawn(self, profile: ColumnProfile, count: int) -> Any:
        """Numbers between the quantiles, with noise that no tie survives."""
        if not profile.quantiles:
            return np.zeros(count)
        quantiles = np.asarray(profile.quantiles)
        at = self._random.random(count) * (len(quantiles) - 1)
        drawn = np.interp(at, np.arange(len(quantiles)), quantiles)
        width = (quantiles[-1] - quantiles[0]) or abs(quantiles[0]) or 1.0
        drawn = np.abs(drawn + self._random.normal(0, width / 200, count) - quantiles[0]) + quantiles[0]
        return quantiles[-1] - np.abs(quantiles[-1] - drawn)  # mirrored at both ends: none lies on them

    def _numbers(self, profile: ColumnProfile, count: int) -> pa.Array:
        kind, drawn = profile.type, self._drawn(profile, count)
        if pa.types.is_floating(kind):
            return pa.array(drawn).cast(kind)
        if pa.types.is_decimal(kind):
            return pc.round(pa.array(drawn), ndigits=kind.scale).cast(kind, safe=False)
        return pa.array(np.rint(drawn)).cast(kind, safe=False)

    def _flags(self, profile: ColumnProfile, count: int) -> pa.Array:
        return pa.array(self._random.random(count) < profile.shares[0])

    def _categories(self, profile: ColumnProfile, count: int) -> pa.Array:
        labels = pa.array([f"{profile.name}_{n + 1}" for n in range(len(profile.shares) or 1)], profile.type)
        edges = np.cumsum(profile.shares[:-1])
        return labels.take(pa.array(np.searchsorted(edges, self._random.random(count), side="right")))

    def _texts(self, profile: ColumnProfile, count: int) -> pa.Array:
        lengths = np.rint(self._drawn(profile, count)).astype(int)
        if pa.types.is_binary(profile.type):
            return pa.array([self._random.bytes(max(length, 0)) for length in lengths], profile.type)
        return pa.array([self._text(length) for length in lengths], profile.type)

    def _text(self, length: int) -> str:
        words = self._random.integers(0, len(_WORDS), 1 + length // 4)
        return " ".join(_WORDS[n] for n in words)[:length].rstrip()

    def _times(self, profile: ColumnProfile, values: pa.Array) -> pa.Array:
        """Moved as all times are, and each by itself, by up to a fiftieth of their spread."""
        moved = self._pseudonyms.shifted(values)
        width = max(profile.quantiles[0] if profile.quantiles else 0.0, 1e6) / 50
        jitter = np.rint(self._random.uniform(-width, width, len(values))).astype("int64")
        if pa.types.is_date(profile.type):
            days = pa.array((jitter // 86_400_000_000).astype("int32"))
            return pc.add(moved.cast(pa.int32()), days).cast(profile.type)
        unit = pa.timestamp("us", profile.type.tz)
        return pc.add(moved.cast(unit).cast(pa.int64()), pa.array(jitter)).cast(unit).cast(profile.type)

    def _nested(self, profile: ColumnProfile, count: int) -> pa.Array:
        """Lists and maps are empty, the fields of structs null: what they held is not told."""
        if pa.types.is_struct(profile.type):
            return pa.array([{}] * count, profile.type)
        return pa.array([[]] * count, profile.type)
