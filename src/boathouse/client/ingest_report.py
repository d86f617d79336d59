"""What one look at a folder took in."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from boathouse.client.import_report import ImportedFile


@dataclass(frozen=True)
class IngestReport:
    """`files` were taken in now, and are in the table at `version`; the others were not.

    `waiting` are still being written; `changed` were taken in before and are others now; `failed` cannot be read, with
    the reason. `rejects` is the table that holds rows that did not fit.
    """

    table: str
    source: str
    version: int | None
    files: tuple[ImportedFile, ...] = ()
    known: int = 0
    waiting: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    rejects: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Rows that were taken in."""
        return sum(f.rows for f in self.files)

    @property
    def bad_rows(self) -> int:
        """Rows that were set aside."""
        return sum(f.bad_rows for f in self.files)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "rows": self.rows, "bad_rows": self.bad_rows}
