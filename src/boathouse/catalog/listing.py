"""Lists of what a caller may see, by name, page after page: a page costs the same wherever it begins.

Where nothing below a catalog or schema could be hidden from the caller, its names are read in order and not
asked about one by one. Elsewhere only what was granted to the caller by name, or is the caller's own, can be
seen: those names are found by index. The two streams are merged.
"""

import heapq
from collections.abc import Iterator, Sequence
from itertools import chain, groupby, islice
from typing import Any

import sqlalchemy as sa

from boathouse.catalog import privileges
from boathouse.catalog.access import AccessControl
from boathouse.catalog.store import grants, securables
from boathouse.catalog.values import SecurableKind
from boathouse.database import Database
from boathouse.identity import Identity
from boathouse.names import scratch_schema

_CHUNK = 1_000

Span = tuple[str, str]
"""Names from the first, which is among them, up to the second, which is not."""


class Listing:
    """Names and rows of securables that an identity may know of."""

    def __init__(self, database: Database, access: AccessControl) -> None:
        self._database = database
        self._access = access

    def rows(self, identity: Identity, kind: SecurableKind, *, catalog: str | None = None, schema: str | None = None,
             after: str | None = None, limit: int | None = None) -> list[Any]:  # fmt: skip
        """Rows of `bh_securables` by name, of one catalog or schema or of all; at most `limit`, those after `after`."""
        names = self.names(identity, kind, catalog=catalog, schema=schema, after=after, chunk=min(limit or _CHUNK, _CHUNK))
        found: list[Any] = []
        wanted = list(islice(names, limit))
        with self._database.reading() as connection:
            for start in range(0, len(wanted), _CHUNK):
                some = securables.c.name.in_(wanted[start : start + _CHUNK])
                query = sa.select(securables).where(securables.c.kind == kind, some).order_by(securables.c.name)
                found += connection.execute(query).mappings().all()
        return found

    def names(self, identity: Identity, kind: SecurableKind, *, catalog: str | None = None, schema: str | None = None,
              after: str | None = None, chunk: int = _CHUNK) -> Iterator[str]:  # fmt: skip
        """The names, one by one; read in chunks as they are asked for."""
        bounds = [schema] if schema else [catalog] if catalog else self._roots(kind)
        if identity.scratch:
            own = _prefixed(f"{identity.environment}.{scratch_schema(identity.scratch, '')}")
            spans = [span for bound in bounds for span in _common(_below(bound), own)]
            return _ordered([self._all_names(kind, span, after, chunk) for span in spans])
        open_at = [bound for bound in bounds if self._all_seen(identity, kind, bound)]
        singly: list[Iterator[str]] = []
        if len(open_at) < len(bounds):
            span = _below(bounds[0] if len(bounds) == 1 else "")
            if not schema and "schema" in privileges.PARENTS[kind]:
                own_schemas = list(_ordered(self._named_to(identity, "schema", span, None, _CHUNK)))
                self._access.prefetch(("schema", name) for name in own_schemas)
                open_at += [name for name in own_schemas if self._all_seen(identity, kind, name)]
            singly = [self._seen(identity, kind, _ordered(self._named_to(identity, kind, span, after, chunk)), chunk)]
        wholly = (self._all_names(kind, _below(bound), after, chunk) for bound in sorted(open_at))
        return _ordered([chain.from_iterable(wholly), *singly])

    def _roots(self, kind: str) -> list[str]:
        """The catalogs, or nothing above what hangs below the metastore itself."""
        if "catalog" not in privileges.PARENTS[kind]:
            return [""]
        with self._database.reading() as connection:
            query = sa.select(securables.c.name).where(securables.c.kind == "catalog").order_by(securables.c.name)
            return list(connection.execute(query).scalars())

    def _all_seen(self, identity: Identity, kind: SecurableKind, bound: str) -> bool:
        """Whether something there that nobody owns and nobody was granted would be seen, and so everything is."""
        depth = sum(parent in ("schema", "catalog") for parent in privileges.PARENTS[kind])
        anything = ".".join([*(bound.split(".") if bound else []), "*", "*", "*"][: depth + 1])
        return self._access.sees(identity, kind, anything)

    def _seen(self, identity: Identity, kind: SecurableKind, names: Iterator[str], chunk: int) -> Iterator[str]:
        while some := list(islice(names, chunk)):
            self._access.prefetch((kind, name) for name in some)
            yield from (name for name in some if self._access.sees(identity, kind, name))

    def _named_to(self, identity: Identity, kind: str, span: Span, after: str | None, chunk: int) -> list[Iterator[str]]:
        """For each principal two streams in order, each along an index: what was granted to it, and what it owns."""
        streams = []
        for who in sorted(identity.names):
            given = sa.select(grants.c.securable).distinct().where(grants.c.principal == who, grants.c.kind == kind)
            given = given.join(securables, sa.and_(securables.c.kind == kind, securables.c.name == grants.c.securable))
            owned = sa.select(securables.c.name).where(securables.c.owner == who, securables.c.kind == kind)
            streams += [self._chunks(given, grants.c.securable, span, after, chunk),
                        self._chunks(owned, securables.c.name, span, after, chunk)]  # fmt: skip
        return streams

    def _all_names(self, kind: str, span: Span, after: str | None, chunk: int) -> Iterator[str]:
        query = sa.select(securables.c.name).where(securables.c.kind == kind)
        return self._chunks(query, securables.c.name, span, after, chunk)

    def _chunks(self, query: Any, column: Any, span: Span, after: str | None, chunk: int) -> Iterator[str]:
        low, high = span
        begun = after is not None and after >= low
        low = after if begun and after is not None else low
        while low < high:
            from_here = column > low if begun else column >= low
            page = query.where(from_here, column < high).order_by(column).limit(chunk)
            with self._database.reading() as connection:
                some = connection.execute(page).scalars().all()
            yield from some
            if len(some) < chunk:
                return
            low, begun = some[-1], True


def _ordered(streams: Sequence[Iterator[str]]) -> Iterator[str]:
    """One stream in order out of several, each name once."""
    return (name for name, _ in groupby(heapq.merge(*streams)))


def _below(bound: str) -> Span:
    return _prefixed(f"{bound}.") if bound else ("", "\x7f")


def _prefixed(prefix: str) -> Span:
    return prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _common(one: Span, other: Span) -> list[Span]:
    low, high = max(one[0], other[0]), min(one[1], other[1])
    return [(low, high)] if low < high else []
