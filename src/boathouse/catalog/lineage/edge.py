"""One step of the lineage."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Direction = Literal["up", "down"]

How = Literal["declared", "derived", "inferred", "external"]
"""How a source is known: the writer said so; the rows or the SQL say so; it was read before by the same
process, which may or may not mean something; another system told of it."""


@dataclass(frozen=True)
class LineageEdge:
    """A run (or a person) made `target` out of `source`, each at a version.

    `mapping` is the number of the columns' mapping, None where nothing is known of columns. `current`
    says, downstream, whether the newest version of the target still holds something of the source.
    """

    source: str
    source_version: str | None
    target: str
    target_version: str | None
    run_id: str | None
    principal: str
    at: datetime
    how: str = "declared"
    operation: str = ""
    job: str | None = None
    mapping: int | None = None
    current: bool = True
