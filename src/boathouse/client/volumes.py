"""Volumes by name, and what their files were made out of."""

from collections.abc import Callable
from dataclasses import replace

from boathouse.catalog import Making, VolumeAccess, VolumeInfo
from boathouse.client.http import Http
from boathouse.client.reads import Reads
from boathouse.client.volume import Volume
from boathouse.errors import NotPermitted


class Volumes:
    """Volumes under two- or three-level names."""

    def __init__(self, http: Http, complete: Callable[[str], str], reads: Reads, environment: str,
                 same_machine: bool) -> None:  # fmt: skip
        """`same_machine`: files on the server's disks can be opened here."""
        self.http = http
        self._complete = complete
        self._reads = reads
        self._environment = environment
        self._same_machine = same_machine
        self._noted: dict[str, list[tuple[str, str | None, str]]] = {}

    def all(self, schema: str | None = None) -> list[VolumeInfo]:
        """Volumes of this environment, or of one schema, that you may see."""
        full = self._complete(f"{schema}.any").rpartition(".")[0] if schema else None
        asked = {"environment": self._environment, "schema": full}
        return [VolumeInfo.from_dict(body) for body in self.http.pages("/api/v1/volumes", asked)]

    def get(self, name: str) -> Volume:
        """A volume. Raises NotFound, NotPermitted."""
        full = self._complete(name)
        try:
            access = self._open(full, "READ VOLUME")
        except NotPermitted as refused:
            try:
                access = self._open(full, "WRITE VOLUME")
            except NotPermitted:
                raise refused from None
        return Volume(access, self)

    def create(self, name: str, *, comment: str = "", location: str | None = None, exists_ok: bool = False) -> Volume:
        """A new volume, in the environment's storage or at a place outside. Raises AlreadyExists, InvalidInput."""
        body = {"name": self._complete(name), "comment": comment, "location": location, "exists_ok": exists_ok}
        self.http.call("POST", "/api/v1/volumes", body)
        return self.get(name)

    def drop(self, name: str) -> None:
        """Remove a volume, with its files if they lie in the lakehouse's storage."""
        self.http.call("DELETE", f"/api/v1/volumes/{self._complete(name)}")

    def note_read(self, volume: str) -> None:
        """Files were read: what is written next may be made out of them."""
        self._reads.note(f"volume:{volume}", None)

    def note_written(self, volume: str) -> None:
        """Files were written: tell the catalog what they were made out of, once for all that follow."""
        target = f"volume:{volume}"
        sources = self._reads.sources(target, Making())
        if sources and self._noted.get(target) != sources:
            self.http.call("POST", "/api/v1/lineage", {"target": target, "version": None, "sources": sources})
            self._noted[target] = sources

    def _open(self, name: str, privilege: str) -> VolumeAccess:
        access = VolumeAccess.from_dict(self.http.call("POST", f"/api/v1/volumes/{name}/open", {"privileges": [privilege]}))
        return access if self._same_machine else replace(access, through="server")
