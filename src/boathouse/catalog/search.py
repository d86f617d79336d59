"""Finding things by what they are called and described as: names, descriptions, tags, columns and their comments.

The database narrows down, under the words alone; what is left is looked at under the asker's grants and matched
word by word. What matches by its name comes first, then the rest, each by name, in pages.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa

from boathouse.catalog.access import AccessControl
from boathouse.catalog.store import securables
from boathouse.catalog.values import OUR_TAGS, SecurableKind
from boathouse.database import Database
from boathouse.errors import InvalidInput
from boathouse.identity import Identity

SEARCHED: tuple[SecurableKind, ...] = ("table", "volume", "model", "function", "schema", "share")
_CHUNK = 500
_LONGEST = 200
_PART = re.compile(r"\w+")

More = Callable[[Sequence[str]], Mapping[str, Sequence["Match"]]]
"""What other rooms know of some models: name -> what can be matched."""


@dataclass(frozen=True)
class Match:
    """A piece of text that words were looked for in: a `name`, `description`, `tag`, `column` or `comment`."""

    field: str
    text: str


@dataclass(frozen=True)
class Found:
    """Something that was found, with what of it matched."""

    kind: str
    name: str
    description: str
    owner: str
    matched: tuple[Match, ...]
    rank: int = 0

    @property
    def place(self) -> str:
        """Where the next page begins."""
        return f"{self.rank} {self.name} {self.kind}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class Search:
    """Searches securables; `more` tells what models are described as."""

    def __init__(self, database: Database, access: AccessControl, more: More = lambda _: {}) -> None:
        self._database = database
        self._access = access
        self._more = more

    def find(self, identity: Identity, text: str, kinds: Sequence[str] = (), catalog: str | None = None,
             limit: int | None = None, after: str | None = None) -> list[Found]:  # fmt: skip
        """What holds every word of a text, of some kinds or all, in a catalog or all. Raises InvalidInput."""
        words = text.lower().split()
        if not words or len(text) > _LONGEST:
            raise InvalidInput(f"search for one or more words, {_LONGEST} characters at most")
        if unknown := [k for k in kinds if k not in SEARCHED]:
            raise InvalidInput(f"{unknown[0]!r} is not searched; choose of {', '.join(SEARCHED)}")
        return list(islice(self._all(identity, words, kinds or SEARCHED, catalog, _place(after)), limit))

    def _all(self, identity: Identity, words: Sequence[str], kinds: Sequence[str], catalog: str | None,
             after: tuple[int, str, str]) -> Iterator[Found]:  # fmt: skip
        for rank in (0, 1):
            if rank >= after[0]:
                place = after[1:] if rank == after[0] else ("", "")
                yield from self._ranked(identity, words, kinds, catalog, rank, place)

    def _ranked(self, identity: Identity, words: Sequence[str], kinds: Sequence[str], catalog: str | None, rank: int,
                after: tuple[str, str]) -> Iterator[Found]:  # fmt: skip
        asked = [securables.c.kind.in_(kinds), _holds(words, rank == 0)]
        if catalog:
            asked.append((securables.c.name == catalog) | securables.c.name.startswith(f"{catalog}.", autoescape=True))
        while True:
            place = sa.tuple_(securables.c.name, securables.c.kind) > after
            query = sa.select(securables).where(*asked, place).order_by(securables.c.name, securables.c.kind).limit(_CHUNK)
            with self._database.reading() as connection:
                rows = connection.execute(query).mappings().all()
            self._access.prefetch((row["kind"], row["name"]) for row in rows)
            seen = [row for row in rows if self._access.sees(identity, row["kind"], row["name"])]
            more = self._more([row["name"] for row in seen if row["kind"] == "model"])
            for row in seen:
                if found := _found(row, words, rank, more.get(row["name"], ())):
                    yield found
            if len(rows) < _CHUNK:
                return
            after = (rows[-1]["name"], rows[-1]["kind"])


def _holds(words: Sequence[str], named: bool) -> Any:
    """Rows whose name holds every word; or those whose name does not, and whose text may."""
    name = sa.func.lower(securables.c.name)
    in_name = sa.and_(*(name.contains(word, autoescape=True) for word in words))
    if named:
        return in_name
    told = sa.func.lower(name + " " + securables.c.comment + " " + sa.cast(securables.c.properties, sa.Text))
    # databases lower ASCII alone, and JSON writes other characters and what parts words in its own way
    parts = {part for word in words for part in _PART.findall(word) if part.isascii()}
    narrow = [told.contains(part, autoescape=True) for part in sorted(parts)]
    return sa.and_(sa.not_(in_name), sa.or_(securables.c.kind == "model", sa.and_(*narrow) if narrow else sa.true()))


def _found(row: Any, words: Sequence[str], rank: int, more: Sequence[Match]) -> Found | None:
    texts = [Match("name", row["name"]), *_texts(row), *more]
    matched = [m for m in texts if any(word in m.text.lower() for word in words)]
    if not all(any(word in m.text.lower() for m in matched) for word in words):
        return None
    description = row["comment"] or next((m.text for m in more if m.field == "description"), "")
    return Found(row["kind"], row["name"], description, row["owner"], tuple(matched), rank)


def _texts(row: Any) -> Iterator[Match]:
    if row["comment"]:
        yield Match("description", row["comment"])
    properties = row["properties"] or {}
    for key, value in (properties.get("tags") or {}).items():
        if key.startswith(OUR_TAGS):
            continue
        yield Match("tag", f"{key}={value}" if value else key)
    for column in properties.get("columns") or ():
        yield Match("column", column["name"])
        if column.get("comment"):
            yield Match("comment", f"{column['name']}: {column['comment']}")


def _place(after: str | None) -> tuple[int, str, str]:
    if not after:
        return 0, "", ""
    rank, _, rest = after.partition(" ")
    name, _, kind = rest.rpartition(" ")
    if not rank.isdigit():
        raise InvalidInput(f"{after!r} is no place in a search; take the one of the page before")
    return int(rank), name, kind
