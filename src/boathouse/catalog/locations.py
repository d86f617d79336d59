"""External locations: places outside the lakehouse's storage where tables may be registered and files reached."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from boathouse import names
from boathouse.catalog.privileges import METASTORE
from boathouse.catalog.service import Catalog
from boathouse.catalog.values import Securable
from boathouse.errors import Conflict, NotFound
from boathouse.identity import Identity


@dataclass(frozen=True)
class ExternalLocation:
    """A name for a place outside; grants on it say who may register tables and reach files there."""

    name: str
    url: str
    owner: str
    comment: str = ""
    created_at: datetime | None = None
    created_by: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "created_at": self.created_at.isoformat() if self.created_at else None}


@dataclass(frozen=True)
class LocationAccess:
    """The catalog's yes to the files of a location; on an object store `credentials` open them until `expires_at`."""

    url: str
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    expires_at: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        until = self.expires_at.isoformat() if self.expires_at else None
        return {"url": self.url, "credentials": dict(self.credentials), "expires_at": until}


class Locations:
    """Makes, shows, opens and drops external locations. Every method authorizes the identity."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def create(self, identity: Identity, name: str, url: str, comment: str = "") -> ExternalLocation:
        """A location at a place that can be read; needs CREATE EXTERNAL LOCATION on the metastore.

        Raises InvalidInput for a place inside the lakehouse or with more than one meaning, Conflict when it overlaps
        another location, AlreadyExists, and Unavailable when nothing answers there.
        """
        names.check_level(name)
        self._catalog.access.authorize(identity, "CREATE EXTERNAL LOCATION", "metastore", METASTORE)
        place = self._catalog.places.at("", self._catalog.places.outside(url))
        place.check_readable()
        self._catalog.add_place(identity, "external_location", name, place.url, comment)
        return self.get(identity, name)

    def list(self, identity: Identity) -> list[ExternalLocation]:
        """Locations that the identity may know of, by name."""
        return [self._of(s) for s in self._catalog.listed(identity, "external_location")]

    def get(self, identity: Identity, name: str) -> ExternalLocation:
        """A location. Raises NotFound."""
        if not self._catalog.visible(identity, "external_location", name):
            raise NotFound(f"no external location is named {name}; `boathouse locations list` shows those there are")
        return self._of(self._catalog.require("external_location", name))

    def open(self, identity: Identity, name: str, write: bool = False) -> LocationAccess:
        """What opens a location's files; needs READ FILES, or WRITE FILES.

        Raises Conflict while tables lie there, whose files are reached through them, and where the store has no STS.
        """
        self._catalog.access.authorize(identity, "WRITE FILES" if write else "READ FILES", "external_location", name)
        url = self.get(identity, name).url
        if self._catalog.places.inside(url):
            raise Conflict(f"tables or volumes lie in {name}: its files are reached through them, where masks hold")
        place = self._catalog.places.at("", url)
        if place.local:
            return LocationAccess(url)
        scoped = self._catalog.scoped(identity, name, place, write)
        if scoped is None:
            raise Conflict(f"the store of {name} gives no credentials of one's own: set storage_role_arn at the server")
        return LocationAccess(url, scoped.options, scoped.expires_at)

    def drop(self, identity: Identity, name: str) -> None:
        """Forget a location; its files stay. Needs MANAGE. Raises Conflict while tables or volumes lie there."""
        self._catalog.access.authorize(identity, "MANAGE", "external_location", name)
        url = self.get(identity, name).url
        if inside := self._catalog.places.inside(url):
            raise Conflict(f"{len(inside)} tables or volumes lie in {name}; drop them first")
        self._catalog.unregister(identity, "external_location", name)

    def _of(self, found: Securable) -> ExternalLocation:
        url = self._catalog.places.url_of(found.name) or ""
        return ExternalLocation(found.name, url, found.owner, found.comment, found.created_at, found.created_by)
