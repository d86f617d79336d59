"""The store over the network: a Redis server that all machines reach."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pyarrow as pa

from boathouse.errors import Conflict, DuplicateKey, MissingExtra, Unavailable
from boathouse.features.online.codec import distinct, sorted_chunks
from boathouse.features.online.redis_line import WHOLE, Asked, Changed, Line, Lost, Place, stamp_of
from boathouse.features.online.store import (
    OnlineStore,
    not_published,
    prepared,
    same_shape,
    touched_keys,
)
from boathouse.features.online.table import Found, Key, OnlineTable, Publication, Spelling, described, layout_of

SCHEMES = ("redis://", "rediss://", "unix://")
_LOCK_SECONDS = 20.0  # how long a killed publisher keeps the next one waiting
_PATIENCE = 300.0
_ATTEMPTS = 50  # a table may be published between two questions


class RedisStore(OnlineStore):
    """An environment's tables in a Redis server: a hash of descriptions, and a hash of rows for each publication.

    A description names its hash of rows, and both change in one Redis transaction.
    """

    def __init__(self, url: str, environment: str = "", name: str = "") -> None:
        super().__init__(environment)
        self._redis, hiredis = _libraries()
        self._client = self._redis.Redis.from_url(url, socket_connect_timeout=3, socket_timeout=30)
        self._where = f"Redis at {urlsplit(url).hostname or urlsplit(url).path}"
        self._prefix = f"boathouse:{environment}@{name}:" if name else f"boathouse:{environment}:"
        self._tables, self._parts = self._prefix + "tables", self._prefix + "parts"
        self._line = Line(self._redis, hiredis, self._client, self._tables)
        self._known: dict[str, Place] = {}  # by the name that is asked for

    def publish(self, publication: Publication, batches: Iterable[pa.RecordBatch]) -> OnlineTable:
        made, encoded = prepared(replace(publication, table=self.name(publication.table)), batches)
        into, count = self._rows(made), 0
        with self._reached(), self._sole_publisher(made.table) as lock:
            self._clear(made.table)
            self._client.sadd(self._parts, into)
            self._client.hset(into, WHOLE, b"")
            try:
                for chunk in distinct(encoded, made.table):
                    self._line.put(into, chunk)
                    count += len(chunk.keys)
                    lock.reacquire()
                if self._client.hlen(into) <= count:
                    raise DuplicateKey(f"two rows to publish in {made.table} share a key: publish one row for each key")
                made = replace(made, rows=count)
                before = self._before(made.table)
                with self._switching(lock, made.table) as pipe:
                    self._describe(pipe, made, into)
                    pipe.srem(self._parts, into)
                    if before is not None:
                        pipe.unlink(self._rows(before))
            except BaseException:
                with suppress(self._redis.RedisError):
                    self._client.unlink(into)
                raise
        return made

    def update(self, publication: Publication, since: int, touched: Iterable[pa.RecordBatch],
               batches: Iterable[pa.RecordBatch]) -> OnlineTable:  # fmt: skip
        made, encoded = prepared(replace(publication, table=self.name(publication.table)), batches)
        rows = [pair for chunk in sorted_chunks(encoded, sys.maxsize, made.table) for pair in chunk.pairs()]
        gone = touched_keys(made, touched).difference(key for key, _ in rows)
        with self._reached(), self._sole_publisher(made.table) as lock:
            self._clear(made.table)
            before = self._before(made.table)
            if before is None or before.version != since or not same_shape(before, made):
                raise Conflict(f"{made.table} was published otherwise meanwhile: publish it again")
            into = self._rows(before)
            keys = [WHOLE, *gone, *(key for key, _ in rows)]
            whole, *held = self._client.hmget(into, keys)
            if whole is None:
                raise Conflict(f"{self._where} has lost the rows of {made.table}: publish it as a SNAPSHOT")
            there = sum(value is not None for value in held)
            made = replace(made, generation=before.generation, rows=before.rows - there + len(rows))
            with self._switching(lock, made.table) as pipe:
                if gone:
                    pipe.hdel(into, *gone)
                if rows:
                    pipe.hset(into, mapping=dict(rows))
                self._describe(pipe, made, into)
        return made

    def lookup_many(self, wanted: Sequence[tuple[str, Sequence[Key]]]) -> list[Found]:
        for _ in range(_ATTEMPTS):
            try:
                try:
                    places = [self._known[table] for table, _ in wanted]
                except KeyError:
                    places = self._learn([table for table, _ in wanted])
                return self._ask(places, wanted)
            except Changed:
                for table, _ in wanted:
                    self._known.pop(table, None)
            except self._redis.RedisError as error:
                raise self._unreached(error) from error
        names = ", ".join(table for table, _ in wanted)
        raise Unavailable(f"{names} is published again and again meanwhile: ask again")

    def _ask(self, places: Sequence[Place], wanted: Sequence[tuple[str, Sequence[Key]]]) -> list[Found]:
        """All tables at one moment. Raises Changed where one was published since its description was read."""
        spelling = Spelling()
        asked = [Asked(of, spelling.of(of.layout, keys)) for of, (_, keys) in zip(places, wanted, strict=True)]
        try:
            found = self._line.ask(asked)
        except Lost as lost:
            table = places[lost.args[0]].layout.table.table
            raise Unavailable(f"{self._where} has lost the rows of {table} (evicted?): publish it as a SNAPSHOT") from None
        return [of.layout.found(rows) for of, rows in zip(places, found, strict=True)]

    def _learn(self, tables: Sequence[str]) -> list[Place]:
        kept = self._client.hgetall(self._tables)
        newest = sorted((layout_of(value).table.published_at, value) for value in kept.values())
        of_source = {layout_of(value).table.source: value for _, value in newest}
        found: list[Place] = []
        for table in tables:
            name = self.name(table)
            description = kept.get(name.encode()) or of_source.get(name)
            if description is None:
                raise not_published(name)
            layout = layout_of(description)
            self._known[table] = Place.of(description, layout, self._rows(layout.table))
            found.append(self._known[table])
        return found

    def _describe(self, pipe: Any, made: OnlineTable, into: str) -> None:
        """A description, and its stamp among its rows."""
        description = described(made)
        pipe.hset(self._tables, made.table, description)
        pipe.hset(into, WHOLE, stamp_of(description))

    def tables(self) -> list[OnlineTable]:
        with self._reached():
            kept = self._client.hgetall(self._tables)
        return [layout_of(kept[name]).table for name in sorted(kept)]

    def withdraw(self, table: str) -> None:
        name = self.name(table)
        with self._reached(), self._sole_publisher(name) as lock:
            self._clear(name)
            before = self._before(name)
            if before is None:
                raise not_published(name)
            with self._switching(lock, name) as pipe:
                pipe.hdel(self._tables, name)
                pipe.unlink(self._rows(before))

    def check(self) -> str:
        with self._reached():
            memory = self._client.info("memory")
        policy = memory.get("maxmemory_policy", "noeviction")
        if memory.get("maxmemory") and policy.startswith("allkeys"):
            raise Unavailable(f"{self._where} evicts rows when its memory is full (maxmemory-policy {policy}): set noeviction")
        return f"{self._where}: {len(self.tables())} tables, {memory['used_memory'] / 1e6:,.1f} MB"

    def _rows(self, table: OnlineTable) -> str:
        return f"{self._prefix}rows:{table.table}:{table.generation}"

    def _before(self, table: str) -> OnlineTable | None:
        kept = self._client.hget(self._tables, table)
        return layout_of(kept).table if kept else None

    def _clear(self, table: str) -> None:
        """Remove what publishers of this table left when they were killed."""
        for part in self._client.smembers(self._parts):
            if part.decode().startswith(f"{self._prefix}rows:{table}:"):
                self._client.unlink(part)
                self._client.srem(self._parts, part)

    @contextmanager
    def _sole_publisher(self, table: str) -> Iterator[Any]:
        lock = self._client.lock(f"{self._prefix}lock:{table}", timeout=_LOCK_SECONDS, blocking_timeout=_PATIENCE)
        if not lock.acquire(token=uuid4().hex):
            raise Conflict(f"another process is publishing {table}: try again when it is done")
        try:
            yield lock
        except self._redis.exceptions.LockError as error:
            raise Conflict(f"another process took over the publishing of {table}: publish it again") from error
        finally:
            with suppress(self._redis.exceptions.LockError, self._redis.RedisError):
                lock.release()

    @contextmanager
    def _switching(self, lock: Any, table: str) -> Iterator[Any]:
        """A transaction that happens only while the lock is still ours."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.watch(lock.name)
            if pipe.get(lock.name) != lock.local.token:
                raise Conflict(f"another process took over the publishing of {table}: publish it again")
            pipe.multi()
            yield pipe
            try:
                pipe.execute()
            except self._redis.WatchError as error:
                raise Conflict(f"another process took over the publishing of {table}: publish it again") from error

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except self._redis.RedisError as error:
            raise self._unreached(error) from error

    def _unreached(self, error: Exception) -> Unavailable:
        return Unavailable(f"{self._where} does not serve the online store ({error}): check it and BOATHOUSE_ONLINE_STORE")


def _libraries() -> tuple[Any, Any]:
    try:
        import hiredis
        import redis
    except ImportError as error:
        raise MissingExtra("an online store in Redis needs its libraries: run `pip install 'boathouse[redis]'`") from error
    return redis, hiredis
