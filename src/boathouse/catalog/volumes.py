"""Volumes: files of any kind under `environment.schema.volume`, put, read, listed and removed under grants."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from boathouse import names
from boathouse.catalog.service import Catalog
from boathouse.catalog.store import securables
from boathouse.database import Database
from boathouse.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from boathouse.identity import Identity
from boathouse.lake import FileContent, FileFolder, FileInfo, FilePage, Storage

_CHUNK = 1_000

VOLUMES = ".volumes"
"""The folder of an environment's storage that holds its volumes; no schema can have this name."""


@dataclass(frozen=True)
class VolumeInfo:
    """A volume as the catalog knows it. A managed one's files go with it when it is dropped."""

    name: str
    location: str
    owner: str
    comment: str = ""
    volume_type: Literal["MANAGED", "EXTERNAL"] = "MANAGED"
    volume_id: str = ""
    created_at: datetime | None = None
    created_by: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "created_at": self.created_at.isoformat() if self.created_at else None}

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> "VolumeInfo":
        """From `to_dict`."""
        moment = body.get("created_at")
        return cls(**{**body, "created_at": datetime.fromisoformat(moment) if moment else None})


@dataclass(frozen=True)
class VolumeAccess:
    """The catalog's yes to a volume: the caller opens its `files` where they lie, or the `server` hands them out."""

    info: VolumeInfo
    privileges: tuple[str, ...]
    through: Literal["files", "server"] = "server"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"info": self.info.to_dict(), "privileges": list(self.privileges), "through": self.through}

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> "VolumeAccess":
        """From `to_dict`."""
        return cls(VolumeInfo.from_dict(body["info"]), tuple(body["privileges"]), body["through"])


class Volumes:
    """Volumes and their files. Every method authorizes the identity."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    def create(self, identity: Identity, name: str, comment: str = "", exists_ok: bool = False,
               location: str | None = None) -> VolumeInfo:  # fmt: skip
        """A volume in the environment's storage, or at a place outside. Needs CREATE VOLUME on the schema.

        A place outside must lie in an external location, and takes CREATE EXTERNAL VOLUME on that; its files stay
        when the volume is dropped. Raises AlreadyExists, InvalidInput, Conflict for a place that is taken.
        """
        parsed = names.parse(name)
        if self._row(str(parsed)) is not None:
            if not exists_ok or not self._catalog.visible(identity, "volume", str(parsed)):
                self._catalog.access.authorize(identity, "CREATE VOLUME", "schema", parsed.schema_name)
                raise AlreadyExists(f"the volume {parsed} exists already", kind="volume")
            return self.get(identity, str(parsed))
        volume_id = uuid.uuid4().hex
        # the id keeps what a dropped volume of the same name may have left behind out of sight
        managed = f"{VOLUMES}/{parsed.schema}/{parsed.object}-{volume_id[:12]}"
        place = managed if location is None else self._place_outside(identity, location)
        kind = "MANAGED" if location is None else "EXTERNAL"
        properties = {"location": place, "volume_type": kind, "volume_id": volume_id}
        with self._database.writing() as connection:
            self._catalog.register(identity, "volume", str(parsed), "CREATE VOLUME", comment, properties)
            if location is not None:
                self._catalog.places.take(connection, "volume", str(parsed), place)
        return self._info(self._require(str(parsed)))

    def _place_outside(self, identity: Identity, location: str) -> str:
        places = self._catalog.places
        url = places.outside(location)
        covering = places.covering(url)
        if covering is None:
            raise InvalidInput(
                f"{url} lies in no external location; an admin can make one: `boathouse locations create NAME URL`"
            )
        self._catalog.access.authorize(identity, "CREATE EXTERNAL VOLUME", "external_location", covering)
        places.check_free(url)
        places.check_same(url)
        return url

    def get(self, identity: Identity, name: str) -> VolumeInfo:
        """A volume. Raises NotFound, NotPermitted."""
        if not self._catalog.visible(identity, "volume", name):
            self._catalog.access.authorize(identity, "READ VOLUME", "volume", name)
        return self._info(self._require(name))

    def list(self, identity: Identity, environment: str | None = None, schema: str | None = None, *,
             limit: int | None = None, after: str | None = None) -> Sequence[VolumeInfo]:  # fmt: skip
        """The volumes that the identity may know of, by name and in pages; `schema` is `environment.schema`."""
        found = self._catalog.listed(identity, "volume", schema, catalog=environment, limit=limit, after=after)
        rows: Any = []
        with self._database.reading() as connection:
            for start in range(0, len(found), _CHUNK):
                wanted = securables.c.name.in_([s.name for s in found[start : start + _CHUNK]])
                query = sa.select(securables).where(securables.c.kind == "volume", wanted).order_by(securables.c.name)
                rows += connection.execute(query).mappings().all()
        return [self._info(row) for row in rows]

    def drop(self, identity: Identity, name: str) -> None:
        """Remove a volume, a managed one with its files; needs MANAGE. Raises NotFound."""
        self._require(name)
        self._catalog.access.authorize(identity, "MANAGE", "volume", name)
        self._catalog.unregister(identity, "volume", name)

    def access(self, identity: Identity, name: str, wanted: Sequence[str] = ("READ VOLUME",)) -> VolumeAccess:
        """The yes that lets a caller at a volume's files. A task reaches its own environment's on local disks by path.

        Raises NotPermitted, NotFound, Conflict for a task that would write another environment's.
        """
        for privilege in wanted:
            self._authorize(identity, privilege, name)
        info = self._info(self._require(name))
        own = identity.run_id is not None and name.partition(".")[0] == identity.environment
        held = [p for p in ("READ VOLUME", "WRITE VOLUME") if self._catalog.access.allows(identity, p, "volume", name)]
        local = self._storage(info).local is not None and "READ VOLUME" in held
        own = own and self._catalog.places.sees(identity, info.volume_type == "EXTERNAL")
        return VolumeAccess(info, tuple(held), "files" if own and local else "server")

    def put(self, identity: Identity, name: str, path: str, chunks: Iterable[bytes]) -> FileInfo:
        """Write a file, or replace it, whole or not at all; needs WRITE VOLUME. Raises InvalidInput, NotFound."""
        made = self.folder(identity, name, "WRITE VOLUME").put(path, chunks)
        details = {"path": path, "size": made.size, "run": identity.run_id}
        self._catalog.audit.record(identity.principal, "put file", name, details)
        return made

    def open(self, identity: Identity, name: str, path: str, start: int = 0, end: int | None = None) -> FileContent:
        """The bytes of a file from `start` to before `end`; needs READ VOLUME. Raises NotFound, InvalidInput."""
        return self.folder(identity, name, "READ VOLUME").read(path, start, end)

    def stat(self, identity: Identity, name: str, path: str) -> FileInfo:
        """What is known of a file; needs READ VOLUME. Raises NotFound."""
        return self.folder(identity, name, "READ VOLUME").stat(path)

    def files(self, identity: Identity, name: str, prefix: str = "", after: str | None = None, limit: int = 1000,
              recursive: bool = True) -> FilePage:  # fmt: skip
        """A page of the files below a folder of a volume, by path; needs READ VOLUME."""
        return self.folder(identity, name, "READ VOLUME").page(prefix, after, limit, recursive)

    def remove(self, identity: Identity, name: str, path: str, recursive: bool = False) -> int:
        """Delete a file, or `recursive`ly all below a folder; how many. Needs WRITE VOLUME. Raises NotFound."""
        folder = self.folder(identity, name, "WRITE VOLUME")
        paths = [info.path for info in folder.files(path)] if recursive else [path]
        if not paths:
            raise NotFound(f"{name} has no files below {path}")
        for one in paths:
            folder.remove(one)
        self._catalog.audit.record(identity.principal, "remove files", name,
                                   {"path": path, "files": len(paths), "run": identity.run_id})  # fmt: skip
        return len(paths)

    def folder(self, identity: Identity, name: str, privilege: str) -> FileFolder:
        """A volume's files, for a caller who holds the privilege. Raises NotPermitted, NotFound."""
        self._authorize(identity, privilege, name)
        return FileFolder(self._storage(self._info(self._require(name))), name)

    def _authorize(self, identity: Identity, privilege: str, name: str) -> None:
        self._catalog.access.authorize(identity, privilege, "volume", name)
        if privilege == "WRITE VOLUME" and identity.run_id and name.partition(".")[0] != identity.environment:
            raise Conflict(f"{name} can only be read from {identity.environment}: a run writes its own environment")

    def _storage(self, info: VolumeInfo) -> Storage:
        if info.volume_type == "EXTERNAL":
            self._catalog.places.check_same(info.location)
        return self._catalog.places.at(info.name, info.location)

    def _row(self, name: str) -> Any:
        with self._database.reading() as connection:
            query = sa.select(securables).where(securables.c.kind == "volume", securables.c.name == name)
            return connection.execute(query).mappings().first()

    def _require(self, name: str) -> Any:
        if (row := self._row(name)) is not None:
            return row
        raise NotFound(f"no volume is named {name}; `boathouse volumes list` shows those there are", kind="volume", name=name)

    def _info(self, row: Any) -> VolumeInfo:
        kept = row["properties"]
        return VolumeInfo(
            name=row["name"], location=self._catalog.located(row["name"], kept["location"]), owner=row["owner"],
            comment=row["comment"], volume_type=kept["volume_type"], volume_id=kept["volume_id"],
            created_at=row["created_at"], created_by=row["created_by"],
        )  # fmt: skip
