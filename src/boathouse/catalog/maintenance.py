"""Upkeep that needs to know who else needs a table: old files go, but never those of a pinned version."""

from boathouse.catalog.service import Catalog
from boathouse.errors import InvalidInput
from boathouse.identity import Identity
from boathouse.lake import Vacuumed


def vacuum(catalog: Catalog, identity: Identity, name: str, retention_hours: int = 168, dry_run: bool = False) -> Vacuumed:
    """Delete files that neither a version inside the retention nor a pinned one needs; needs MODIFY.

    Raises NotFound, NotPermitted, InvalidInput for a retention that is none.
    """
    if retention_hours < 0:
        raise InvalidInput(f"{retention_hours} is no retention: say how many hours old versions stay, 0 or more")
    info = catalog.granted(identity, name, ("MODIFY",)).info
    with catalog.pins.still():  # a version that is pinned meanwhile is pinned before or after, never in between
        done = catalog.folder(info).vacuum(retention_hours, dry_run, catalog.pins.of(name))
    if not dry_run:
        facts = {"files": len(done.files), "retention_hours": retention_hours, "kept": sorted(done.kept)}
        catalog.audit.record(identity.principal, "vacuum", name, facts)
    kept, gone = _shown(catalog, identity, done.kept), _shown(catalog, identity, done.gone)
    return Vacuumed(done.files, kept, gone, retention_hours, dry_run)


def _shown(catalog: Catalog, identity: Identity, holders: dict[int, str]) -> dict[int, str]:
    """The holders that the caller may know of."""
    def named(holder: str) -> str:
        kind, _, rest = holder.partition(" ")
        return holder if catalog.sees(identity, f"{kind}:{rest.partition(' ')[0]}") else f"a {kind} that you may not see"

    return {version: ", ".join(named(holder) for holder in told.split(", ")) for version, told in holders.items()}
