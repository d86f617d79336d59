"""Where securables' files lie: in an environment's own storage, or at places outside that are noted one by one."""

import os
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection

from boathouse.catalog.store import places
from boathouse.catalog.values import SecurableKind
from boathouse.database import Database
from boathouse.errors import Conflict, InvalidInput
from boathouse.identity import Identity
from boathouse.lake import Storage, Storages, canonical, folded, local_path, overlap

_LOCATION = "external_location"


class Places:
    """Knows each environment's storage, and which places outside are taken; `kept_from` are folders nobody may name.

    `walled`: runs see their own environment's storage and no place outside; code under test, and runs as another than the
    environment's own principal, see neither.
    """

    def __init__(self, database: Database, storages: Storages, kept_from: Sequence[Path] = (), walled: bool = False) -> None:
        self._database = database
        self._storages = storages
        self._walled = walled
        self._kept_from = [Path(folder).resolve().as_uri() for folder in kept_from]

    def of(self, environment: str) -> Storage:
        """Where an environment's tables and files lie."""
        return self._storages.of(environment)

    def at(self, name: str, location: str) -> Storage:
        """A securable's place: what the catalog chose is kept relative to the storage, so that storage and home can move."""
        environment = name.partition(".")[0]
        if location.startswith("/") or "://" in location:
            return self._storages.at(environment, location)
        place, root = self.of(environment).child(*location.split("/")), self.of(environment).local
        if root and place.local:
            self._check_straight(name, root, place.local)
        return place

    def sees(self, identity: Identity, external: bool) -> bool:
        """Whether a caller on this machine can open files itself that lie on its disk: in its storage, or outside."""
        return not (self._walled and identity.run_id and (external or identity.scratch or identity.lent))

    def outside(self, location: str) -> str:
        """The one spelling of a place outside the lakehouse. Raises InvalidInput for one that overlaps storage or home."""
        url = canonical(location)
        kept = [*self._kept_from, *(_real(root.url) for root in self._storages.roots())]
        if any(overlap(url, other) for other in kept):
            raise InvalidInput(f"{location} overlaps the lakehouse's own storage or home; choose a place outside")
        return url

    def check_same(self, url: str) -> None:
        """Raises Conflict when a folder outside has become a symbolic link to somewhere else."""
        if local_path(url) and any(canonical(place) != place for place in (url, f"{url}/_delta_log")):
            raise Conflict(f"{url} leads elsewhere by a symbolic link now; nothing was opened")

    def _check_straight(self, name: str, root: Path, place: Path) -> None:
        """Raises Conflict when a link leads elsewhere: whoever writes the storage could have us read others' files."""
        for inner in (place, place / "_delta_log"):
            if os.path.realpath(inner) != os.path.join(os.path.realpath(root), os.path.relpath(inner, root)):
                raise Conflict(f"the folder of {name} leads elsewhere by a symbolic link; nothing was opened")

    def covering(self, url: str) -> str | None:
        """The external location that a place lies in."""
        with self._database.reading() as connection:
            query = sa.select(places.c.name).where(places.c.kind == _LOCATION, places.c.url.in_(_above(url)))
            return connection.execute(query).scalar()

    def url_of(self, location: str) -> str | None:
        """Where an external location lies."""
        with self._database.reading() as connection:
            query = sa.select(places.c.url).where(places.c.kind == _LOCATION, places.c.name == location)
            return connection.execute(query).scalar()

    def inside(self, url: str) -> list[tuple[str, str]]:
        """(kind, name) of what overlaps a place, external locations aside."""
        with self._database.reading() as connection:
            return _overlapping(connection, url, places.c.kind != _LOCATION)

    def check_free(self, url: str) -> None:
        """Raises Conflict when a table or volume overlaps a place."""
        if self.inside(url):
            raise Conflict(f"{url} overlaps a table or volume that is registered already")

    def take(self, connection: Connection, kind: SecurableKind, name: str, url: str) -> None:
        """Note a place as a securable's. Raises Conflict when one of its like overlaps it."""
        alike = places.c.kind == _LOCATION if kind == _LOCATION else places.c.kind != _LOCATION
        if _overlapping(connection, url, alike):
            raise Conflict(f"{url} overlaps {'an external location' if kind == _LOCATION else 'a table or volume'} there is")
        connection.execute(places.insert().values(kind=kind, name=name, url=url, folded=folded(url)))

    def release(self, connection: Connection, kind: SecurableKind, name: str) -> None:
        """Forget a securable's place, if it had one outside."""
        connection.execute(places.delete().where(places.c.kind == kind, places.c.name == name))


def _overlapping(connection: Connection, url: str, which: sa.ColumnElement[bool]) -> list[tuple[str, str]]:
    place = folded(url)
    above = [folded(outer) for outer in _above(url)]
    near = places.c.folded.in_(above) | places.c.folded.startswith(place, autoescape=True)
    found = connection.execute(sa.select(places.c.kind, places.c.name).where(which, near))
    return [(row.kind, row.name) for row in found]


def _above(url: str) -> list[str]:
    """A place and all that it lies in."""
    scheme, _, rest = url.partition("://")
    levels = rest.split("/")
    return [f"{scheme}://{'/'.join(levels[: count + 1])}" for count in range(len(levels))]


def _real(url: str) -> str:
    path = local_path(url)
    return path.resolve().as_uri() if path else url
