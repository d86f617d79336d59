"""Who comes with a recipient's token, and what of their share they may see now."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import obstore
from fastapi import Depends, Request

from boathouse import clock
from boathouse.catalog import Recipient, SharedTable, TableInfo
from boathouse.errors import NotFound
from boathouse.identity import Identity
from boathouse.lake import Storage
from boathouse.platform import Platform
from boathouse.server.auth import platform_of, token_of
from boathouse.server.sharing.links import LIFETIME_SECONDS, Links, Pass
from boathouse.server.sharing.offers import OfferedFile, Offers
from boathouse.server.sharing.spool import Spool


@dataclass(frozen=True)
class Visit:
    """A recipient at the door; `base` is where this server answers, as the recipient sees it."""

    recipient: Recipient
    identity: Identity
    platform: Platform
    base: str

    @property
    def offers(self) -> Offers:
        """What is handed out of tables."""
        return offers_of(self.platform)

    def share(self, name: str) -> str:
        """The share's name. Raises NotFound for any other than the token's."""
        if name != self.recipient.share:
            raise NotFound(f"there is no share {name} that this token opens")
        return name

    def tables(self, share: str, schema: str | None = None) -> list[SharedTable]:
        """Tables of the share that the recipient's principal may read."""
        access = self.platform.access
        return [
            t for t in self.platform.sharing.shares.tables(self.share(share))
            if schema in (None, t.shared_as.partition(".")[0]) and access.allows(self.identity, "SELECT", "table", t.table)
        ]  # fmt: skip

    def table(self, share: str, schema: str, table: str) -> TableInfo:
        """A shared table. Raises NotFound, and NotPermitted, recorded, for one that the principal may not read."""
        shared_as = f"{schema}.{table}"
        found = [t for t in self.platform.sharing.shares.tables(self.share(share)) if t.shared_as == shared_as]
        if not found:
            raise NotFound(f"the share {share} has no table {shared_as}")
        self.platform.access.authorize(self.identity, "SELECT", "table", found[0].table)
        return self.platform.catalog.table(found[0].table)

    def link(self, info: TableInfo, file: OfferedFile) -> tuple[str, int]:
        """Where a file is fetched, and until when, in milliseconds since 1970: at the object store, or here."""
        expires = int(clock.now().timestamp()) + LIFETIME_SECONDS
        folder = None if file.spooled else self.platform.catalog.folder(info)
        if folder and folder.local is None:
            store: Any = Storage(folder.location, folder.options).store()
            return str(obstore.sign(store, "GET", file.file, timedelta(seconds=LIFETIME_SECONDS))), expires * 1000
        guard = self.offers.guard(self.identity, info)
        opened = Pass(self.recipient.token_id, info.name, file.file, file.spooled, guard, expires)
        return f"{self.base}/files/{links_of(self.platform).sign(opened)}", expires * 1000

    def tell(self, info: TableInfo, action: str, version: int, files: int) -> None:
        """Write to the audit log what was handed out."""
        details = {"share": self.recipient.share, "token": self.recipient.token_id, "version": version, "files": files}
        self.platform.audit.record(self.identity.principal, action, info.name, details)


def visit(request: Request) -> Visit:
    """The recipient of a request. Raises Unauthenticated."""
    platform = platform_of(request)
    recipient, identity = platform.sharing.enter(token_of(request.headers))
    platform.audit.comes_from(identity.principal)
    return Visit(recipient, identity, platform, f"{request.base_url}delta-sharing")


def links_of(platform: Platform) -> Links:
    """This home's links."""
    return Links(platform.home.secret("sharing.key"))


def offers_of(platform: Platform) -> Offers:
    """What this home hands out."""
    return Offers(platform, spool_of(platform))


def spool_of(platform: Platform) -> Spool:
    """This home's spool."""
    return _spool(platform.settings.path("sharing"))


@cache
def _spool(folder: Path) -> Spool:
    return Spool(folder)


Visitor = Annotated[Visit, Depends(visit)]
