"""Files that no version needs are deleted; what is kept, and for whom, is said."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

_SETTLED = 1
"""Hours after which no writer is still about to commit a file it wrote."""

_LOG_DAYS = 30


@dataclass(frozen=True)
class Vacuumed:
    """What a vacuum deleted, or would delete, and which old versions it kept whole.

    `kept` is version -> who needs it; `gone` are pinned versions that could not be kept: they are no longer in the log.
    """

    files: tuple[str, ...]
    kept: dict[int, str] = field(default_factory=dict)
    gone: dict[int, str] = field(default_factory=dict)
    retention_hours: int = 168
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Vacuumed":
        """From `to_dict`, after JSON has made the versions texts."""
        versions = {key: {int(v): who for v, who in body[key].items()} for key in ("kept", "gone")}
        return cls(**{**body, **versions, "files": tuple(body["files"])})


def vacuum(table: DeltaTable, retention_hours: int, dry_run: bool, pinned: Mapping[int, str]) -> Vacuumed:
    """Delete files that neither a version inside the retention nor a pinned one needs.

    Files that stand in no version at all go too once they are older than the retention, unless that is under an hour:
    a writer may be about to commit them. Commits older than 30 days leave the log, up to the oldest pinned version.
    """
    kept, gone = dict[int, str](), dict[int, str]()
    for version, holder in sorted(pinned.items()):
        (kept if _is_there(table, version) else gone)[version] = holder
    files = table.vacuum(
        retention_hours, dry_run=dry_run, enforce_retention_duration=False, full=retention_hours >= _SETTLED,
        keep_versions=sorted(kept) or None,
    )  # fmt: skip
    if not dry_run and not any(_is_older(table, version) for version in kept):
        table.cleanup_metadata()
    return Vacuumed(tuple(files), kept, gone, retention_hours, dry_run)


def _is_there(table: DeltaTable, version: int) -> bool:
    try:
        DeltaTable(table.table_uri, version=version, storage_options=table._storage_options)
    except (DeltaError, OverflowError):
        return False
    return True


def _is_older(table: DeltaTable, version: int) -> bool:
    """Whether the log may be cut after this version by now."""
    cut = (datetime.now(UTC) - timedelta(days=_LOG_DAYS - 1)).timestamp() * 1000
    entries = table.history(table.version() - version + 1)
    at = next((entry["timestamp"] for entry in entries if entry["version"] == version), None)
    return at is None or at < cut
