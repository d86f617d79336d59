"""The contract of every online store, and what publications into all of them have in common."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from uuid import uuid4

import pyarrow as pa

from boathouse import clock
from boathouse.errors import InvalidInput, NotFound
from boathouse.features.online.codec import Encoded, KeyCodec, encoded_rows, stored_type
from boathouse.features.online.table import Found, Key, OnlineTable, Publication

Rows = Iterator[Encoded]
_BATCH = 100_000
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class OnlineStore(ABC):
    """Tables of rows by key, which some processes publish while others read.

    * A reader sees a whole publication or the one before, never a part: also when publishers are killed at any
      moment. The next publication repairs what a killed one left.
    * One `lookup` costs one round trip, however many tables and keys it asks for, and sees all tables at one moment.
    * Names of two levels are completed with the store's environment. A table is found by its own name and by its source's.
    * A store that does not answer, is full or is damaged raises Unavailable; it never answers with missing rows.
    * A store may be shared between threads.
    """

    def __init__(self, environment: str = "") -> None:
        self._environment = environment

    @abstractmethod
    def publish(self, publication: Publication, batches: Iterable[pa.RecordBatch]) -> OnlineTable:
        """Serve these rows, and only these; rows with a null in the key are left out.

        A RecordBatchReader may be empty. Raises DuplicateKey, InvalidInput, Unavailable, and Conflict while another
        process publishes the table; readers then go on with what was there.
        """

    @abstractmethod
    def update(self, publication: Publication, since: int, touched: Iterable[pa.RecordBatch],
               batches: Iterable[pa.RecordBatch]) -> OnlineTable:  # fmt: skip
        """Of all keys of `touched`, serve the rows of `batches`, or none; other rows stay as they are.

        Raises Conflict where another version than `since`, or another shape, is published; else as `publish`.
        """

    @abstractmethod
    def lookup_many(self, wanted: Sequence[tuple[str, Sequence[Key]]]) -> list[Found]:
        """For each (table, keys) the rows. A null in a key matches nothing. Raises NotFound, InvalidInput, Unavailable."""

    @abstractmethod
    def tables(self) -> list[OnlineTable]:
        """All that is published, by name: which version of which source, and when."""

    @abstractmethod
    def withdraw(self, table: str) -> None:
        """Stop serving a table and remove its rows. Raises NotFound."""

    @abstractmethod
    def check(self) -> str:
        """Words on where the store is and how it is set. Raises Unavailable, also where it may lose rows by itself."""

    def lookup(self, table: str, keys: Sequence[Key]) -> Found:
        """`lookup_many` in one table."""
        return self.lookup_many([(table, keys)])[0]

    def describe(self, table: str) -> OnlineTable:
        """What is served now under a table's name or its source's. Raises NotFound."""
        return self.lookup(table, ()).table

    def find(self, table: str) -> OnlineTable | None:
        """What is published under exactly this name."""
        name = self.name(table)
        return next((found for found in self.tables() if found.table == name), None)

    def name(self, table: str) -> str:
        """A name with its environment. Raises InvalidInput for one that no table can have."""
        if not _NAME.fullmatch(table):
            raise InvalidInput(f"{table!r} cannot name an online table: use letters, digits, dots and underscores")
        return f"{self._environment}.{table}" if self._environment and table.count(".") == 1 else table


def prepared(publication: Publication, batches: Iterable[pa.RecordBatch]) -> tuple[OnlineTable, Rows]:
    """The description of what the batches make, its rows not counted yet, and their encoded rows. Raises InvalidInput."""
    table, keys = publication.table, publication.keys
    schema, rest = _with_schema(table, batches)
    if not keys or any(key not in schema.names for key in keys):
        raise InvalidInput(
            f"the keys of {table} are ({', '.join(keys)}), its rows have ({', '.join(schema.names)}): "
            "name at least one key, and bring all of them"
        )
    columns = tuple(name for name in schema.names if name not in keys)
    types = {name: stored_type(schema.field(name).type) for name in schema.names}
    made = OnlineTable(
        **asdict(publication), key_types=tuple(types[key] for key in keys), columns=columns,
        types=tuple(types[name] for name in columns), rows=0, published_at=clock.now(), generation=uuid4().hex[:12],
    )  # fmt: skip
    codec = KeyCodec(keys, made.key_types)
    parts = (batch.slice(first, _BATCH) for batch in rest for first in range(0, batch.num_rows, _BATCH))
    return made, (encoded_rows(part, codec, keys, columns) for part in parts)


def touched_keys(table: OnlineTable, batches: Iterable[pa.RecordBatch]) -> set[bytes]:
    """The spelled keys of batches, without those that hold a null."""
    codec = KeyCodec(table.keys, table.key_types)
    return {key for batch in batches for key in encoded_rows(batch, codec, table.keys, ()).keys.to_pylist()}


def same_shape(one: OnlineTable, other: OnlineTable) -> bool:
    """Whether rows of both can stand side by side."""
    return all(getattr(one, part) == getattr(other, part) for part in ("keys", "key_types", "columns", "types"))


def not_published(table: str) -> NotFound:
    """The error for a table that nobody published."""
    return NotFound(f"{table} is not published in the online store: publish it first")


def _with_schema(table: str, batches: Iterable[pa.RecordBatch]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    rest = iter(batches)
    first = next(rest, None)  # the query has run when its first rows come: nothing is locked meanwhile
    if first is not None:
        return first.schema, chain([first], rest)
    if isinstance(batches, pa.RecordBatchReader):
        return batches.schema, rest
    raise InvalidInput(f"nothing says which columns {table} has: publish at least one batch, even if empty")
