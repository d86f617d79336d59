"""A table's files behind the server: what a DeltaFolder does here is done there, for callers who get no keys."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa

from boathouse.lake import Commit, Frame


class WorkPort(Protocol):
    """What the server does with a table in the caller's name."""

    def work(self, name: str, operation: str, arguments: Mapping[str, Any], rows: Frame | None) -> tuple[Any, pa.Table]:
        """One operation; its answer, and rows where it has some."""


class ServedFolder:
    """One table through the server. Raises what the same call on a DeltaFolder raises, and NotPermitted."""

    def __init__(self, name: str, port: WorkPort) -> None:
        self.name = name
        self._port = port

    def version(self) -> int:
        """The newest version."""
        return int(self._ask("version"))

    def schema(self) -> pa.Schema:
        """Columns and Arrow types."""
        return self._port.work(self.name, "schema", {}, None)[1].schema

    def append(self, frame: Frame, transaction: tuple[str, int] | None = None, evolve: bool = False,
               marks: Mapping[str, int] | None = None) -> Commit:  # fmt: skip
        """Add rows; a transaction or mark that was committed before adds nothing."""
        return self._commit("append", frame, transaction=transaction, evolve=evolve, marks=dict(marks or {}))

    def overwrite(self, frame: Frame, where: str | None = None, evolve: bool = False,
                  marks: Mapping[str, int] | None = None, force: bool = False) -> Commit:  # fmt: skip
        """Replace all rows, or those a predicate names; marks that were committed before replace nothing."""
        return self._commit("overwrite", frame, where=where, evolve=evolve, marks=dict(marks or {}), force=force)

    def merge(self, frame: Frame, on: Sequence[str], evolve: bool = False, update: bool = True,
              marks: Mapping[str, int] | None = None, dropping: str | None = None,
              known_time: str | None = None) -> Commit:  # fmt: skip
        """Update rows with equal keys, insert the others; remove those that `dropping` tells."""
        return self._commit("merge", frame, on=list(on), evolve=evolve, update=update, marks=dict(marks or {}), dropping=dropping,
                            known_time=known_time)  # fmt: skip

    def fill(self, frame: Frame, on: Sequence[str], columns: Sequence[str]) -> Commit:
        """Set some columns of rows that are there."""
        return self._commit("fill", frame, on=list(on), columns=list(columns))

    def delete(self, where: str | None = None) -> Commit:
        """Remove rows."""
        return self._commit("delete", None, where=where)

    def update(self, values: Mapping[str, str], where: str | None = None) -> Commit:
        """Set columns to SQL expressions."""
        return self._commit("update", None, values=dict(values), where=where)

    def restore(self, version: int, force: bool = False) -> Commit:
        """Make an old version the newest."""
        return self._commit("restore", None, version=version, force=force)

    def optimize(self, z_order: Sequence[str] = ()) -> Commit:
        """Rewrite small files as large ones."""
        return self._commit("optimize", None, z_order=list(z_order))

    def checkpoint(self) -> int:
        """Write the newest version's state whole."""
        return int(self._ask("checkpoint"))

    def history(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Commits, newest first."""
        return list(self._ask("history", limit=limit))

    def changes(self, since: int, until: int | None = None) -> pa.Table:
        """Change rows."""
        return self._port.work(self.name, "changes", {"since": since, "until": until}, None)[1]

    def transaction_version(self, application: str) -> int | None:
        """The newest number an application committed here."""
        found: int | None = self._ask("transaction_version", application=application)
        return found

    def _ask(self, operation: str, **arguments: Any) -> Any:
        return self._port.work(self.name, operation, arguments, None)[0]

    def _commit(self, operation: str, rows: Frame | None, **arguments: Any) -> Commit:
        return Commit(**self._port.work(self.name, operation, arguments, rows)[0])
