"""How a caller reaches a table: what it was granted, and keys to the files where there are some to give."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from boathouse import names
from boathouse.catalog.access import AccessControl
from boathouse.catalog.credentials import CredentialDesk
from boathouse.catalog.places import Places
from boathouse.catalog.values import TableAccess, TableInfo
from boathouse.errors import Conflict
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder, Storage


class Opening:
    """Authorizes, and says whether the caller opens the files itself, under keys of its own, or asks the server."""

    def __init__(self, access: AccessControl, places: Places, credentials: CredentialDesk,
                 table: Callable[[str], TableInfo]) -> None:  # fmt: skip
        self._access = access
        self._places = places
        self._credentials = credentials
        self._table = table

    def open(self, identity: Identity, name: str, wanted: Sequence[str], versioned: bool = True) -> TableAccess:
        """The yes, with scoped keys where the store gives some. Raises as `granted`, and Unavailable.

        Unless `versioned` its table has no version: finding it opens the log, as whoever reads the table does anyway.
        """
        granted = self.granted(identity, name, wanted)
        if granted.info.view is not None:
            return replace(granted, through="server")
        info = replace(granted.info, version=self.folder(granted.info).version()) if versioned else granted.info
        through_server = replace(granted, info=info, through="server")
        place, write = self.place(info), "MODIFY" in wanted
        if place.local:
            seen = not _foreign(identity, name) and self._places.sees(identity, info.table_type == "EXTERNAL")
            return replace(granted, info=info) if seen else through_server
        if granted.through == "server" or (write and "SELECT" not in granted.privileges):
            return through_server  # whoever may put files there could read the others
        scoped = self._credentials.scoped(identity, name, place, write)
        if scoped is None:
            return through_server
        usable = tuple(p for p in granted.privileges if write or p != "MODIFY")  # keys to read do not write
        return TableAccess(info, usable, "files", scoped.options, scoped.expires_at)

    def open_here(self, identity: Identity, name: str, wanted: Sequence[str]) -> TableAccess:
        """The yes for work inside the server, under its own keys."""
        granted = self.granted(identity, name, wanted)
        return replace(granted, through="files", credentials=self.place(granted.info).options)

    def granted(self, identity: Identity, name: str, wanted: Sequence[str]) -> TableAccess:
        """The yes without keys; its table has no version. Raises NotPermitted, NotFound, Conflict."""
        for privilege in wanted:
            self._access.authorize(identity, privilege, "table", name)
        info, foreign = self._table(name), _foreign(identity, name)
        if foreign and "MODIFY" in wanted:
            raise Conflict(f"{name} can only be read from {identity.environment}: a run writes its own environment")
        usable = ("SELECT",) if foreign else ("SELECT", "MODIFY")
        held = [p for p in usable if p in wanted or self._access.allows(identity, p, "table", name)]
        return TableAccess(info, tuple(held), "server" if info.masks or info.row_filter else "files")

    def reading_options(self, identity: Identity, table: TableInfo) -> Mapping[str, str]:
        """What opens a table's files for reading, and no other where the store has STS; whoever calls has authorized."""
        place = self.place(table)
        scoped = None if place.local else self._credentials.scoped(identity, table.name, place, write=False)
        return scoped.options if scoped else place.options

    def folder(self, table: TableInfo) -> DeltaFolder:
        """A table's files under the server's own keys. Raises Conflict for a view."""
        if table.view is not None:
            raise Conflict(f"{table.name} is a view, which has no files, versions or history: read it through SQL")
        place = self.place(table)
        return DeltaFolder(place.url, table.name, place.options)

    def place(self, table: TableInfo) -> Storage:
        """Where a table's files lie. Raises Conflict when an external place is another one by now."""
        if table.table_type == "EXTERNAL":
            self._places.check_same(table.location)
        return self._places.at(table.name, table.location)


def _foreign(identity: Identity, name: str) -> bool:
    """Whether a run reaches into another environment."""
    return identity.run_id is not None and names.parse(name).catalog != identity.environment
