"""What a published table is, and how its rows are read: the same in every store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import msgspec

from boathouse import clock
from boathouse.features.online.codec import KeyCodec, Row, row_decoder, rows_decoder

Key = Sequence[object]
DEFAULT_STORE = "default"
_NULL = b"\xc0"  # MessagePack's


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What to publish: rows of `source` at Delta `version`, one for each of `keys`, under the name `table`.

    With `ttl` (seconds) a row whose `time` column is older is not served; without such a column, a table that was
    published longer ago. `as_of` is the instant at which the rows were the newest known.
    """

    table: str
    keys: tuple[str, ...]
    version: int
    source: str = ""
    source_id: str = ""
    time: str | None = None
    ttl: float | None = None
    mode: str = "SNAPSHOT"
    store: str = DEFAULT_STORE
    condition: str | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class OnlineTable(Publication):
    """A published table: its value columns and their Arrow types, number of rows, and when it was published."""

    key_types: tuple[str, ...]
    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: int
    published_at: datetime
    generation: str


class Found(NamedTuple):
    """The rows of one table, in the order of the keys asked for; None where there is none. Values as `table.columns`."""

    table: OnlineTable
    rows: list[Row | None]


class Layout:
    """How the keys and rows of one description are spelled."""

    def __init__(self, table: OnlineTable) -> None:
        self.table = table
        self.name = table.table.encode()
        self.key_types = table.key_types
        self.spell = KeyCodec(table.keys, table.key_types).encode_many
        self.decode, self._decode_all = row_decoder(table.types), rows_decoder(table.types)
        self._time = table.columns.index(table.time) if table.ttl is not None and table.time in table.columns else None

    def decoded(self, values: Sequence[bytes | None]) -> list[Row | None]:
        """The rows of stored values."""
        whole = [_NULL if value is None else value for value in values] if None in values else values
        return self._decode_all(b"".join((b"\xdd", len(values).to_bytes(4, "big"), *whole)))  # type: ignore[arg-type]

    def found(self, rows: list[Row | None]) -> Found:
        """Decoded rows, without what is past its time to live."""
        if self.table.ttl is not None:
            limit = clock.now() - timedelta(seconds=self.table.ttl)
            rows = [row if row is not None and self._said(row) >= limit else None for row in rows]
        return Found(self.table, rows)

    def _said(self, row: Row) -> datetime:
        moment: datetime | None = self.table.published_at if self._time is None else row[self._time]
        if moment is None:
            return datetime.min.replace(tzinfo=UTC)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Spelling:
    """The keys' bytes in one lookup; the same keys of tables one after the other are spelled once."""

    def __init__(self) -> None:
        self._keys: Sequence[Key] | None = None
        self._types: tuple[str, ...] = ()
        self._spelled = list[bytes | None]()

    def of(self, layout: Layout, keys: Sequence[Key]) -> list[bytes | None]:
        """As the table spells them; None where a part is null."""
        if keys is not self._keys or layout.key_types != self._types:
            self._keys, self._types, self._spelled = keys, layout.key_types, layout.spell(keys)
        return self._spelled


def described(table: OnlineTable) -> bytes:
    """A description as it is kept."""
    return msgspec.json.encode(table)


@lru_cache(1024)
def layout_of(description: bytes) -> Layout:
    """From a kept description to the layout of its rows."""
    return Layout(msgspec.json.decode(description, type=OnlineTable))
