"""What an import of files did."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class ImportedFile:
    """One file: how many of its rows were taken, and how many set aside."""

    name: str
    bytes: int
    rows: int
    bad_rows: int


@dataclass(frozen=True)
class ImportReport:
    """The table and version that hold the rows now; `rejects` is the table or file that holds the bad ones.

    `columns` are name -> SQL type; `renamed` what the files call a column -> its name.
    """

    table: str
    version: int
    mode: str
    created: bool
    files: tuple[ImportedFile, ...]
    columns: Mapping[str, str]
    renamed: Mapping[str, str] = field(default_factory=dict)
    rejects: str | None = None
    first_bad: str | None = None
    notes: tuple[str, ...] = ()
    import_id: str = ""
    seconds: float = 0.0

    @property
    def rows(self) -> int:
        """Rows that were taken."""
        return sum(f.rows for f in self.files)

    @property
    def bad_rows(self) -> int:
        """Rows that were set aside."""
        return sum(f.bad_rows for f in self.files)

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(f.bytes for f in self.files)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "rows": self.rows, "bad_rows": self.bad_rows, "bytes": self.bytes}
