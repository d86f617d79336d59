"""The new rows of a table, as a stream that jobs take in pieces."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from boathouse.lake import Relation

if TYPE_CHECKING:
    from boathouse.catalog.table import Table

_ADDED = "_change_type IN ('insert', 'update_postimage')"
COMMITTED = "_commit_version"
"""Which version of the source a row came with; 0 for those that were there at the beginning."""


@dataclass(frozen=True)
class TableStream:
    """A table's rows, then those that come or change; `where` is SQL on its columns. Deletes are no rows."""

    name: str
    where: str | None = None

    def rows(self, table: "Table", after: int | None, until: int) -> Relation:
        """The rows of the versions after `after` up to `until` (None: of all), with the column `_commit_version`.

        Raises InvalidInput where the changes are not kept any more, NotPermitted where the table has masks.
        """
        condition = f" AND ({self.where}\n)" if self.where else ""
        if after is None:
            found = table.read(until)
            return found.filter(f"true{condition}").select("*", f"0::BIGINT AS {COMMITTED}")
        changes = table.changes(after, until)
        kept = [f'"{c}"' for c in changes.columns if c not in ("_change_type", "_commit_timestamp", COMMITTED)]
        if not table.keeps_changes:  # rows that a commit wrote again as they were are none
            same = f"PARTITION BY {', '.join([*kept, COMMITTED])}"
            before = f"count(*) FILTER (WHERE NOT {_ADDED}) OVER ({same}) AS __before"
            changes = changes.select("*", before, f"row_number() OVER ({same}, {_ADDED}) AS __again").filter("__again > __before")
        return changes.filter(f"{_ADDED}{condition}").select(*kept, COMMITTED)
