"""What of a table is handed out: its own files, or rows that were read for the recipient through SQL."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from boathouse.catalog import TableInfo, tables_of
from boathouse.errors import InvalidInput
from boathouse.identity import Identity
from boathouse.lake import batches, manifest, quoted, schema_json
from boathouse.platform import Platform
from boathouse.server.sharing.spool import Spool


@dataclass(frozen=True)
class OfferedFile:
    """One Parquet file: below the table's folder, or spooled. `rows` where they are known."""

    file: str
    spooled: bool
    size: int
    partition: dict[str, str | None]
    rows: int | None
    stats: str | None


@dataclass(frozen=True)
class Offer:
    """One version of a table as a recipient may have it."""

    version: int
    table_id: str
    schema: str
    partitions: tuple[str, ...]
    files: tuple[OfferedFile, ...]


@dataclass(frozen=True)
class Change:
    """The change rows of one version, spooled."""

    version: int
    millis: int
    file: OfferedFile


class Offers:
    """Makes offers out of tables that the caller has authorized."""

    def __init__(self, platform: Platform, spool: Spool) -> None:
        self._platform = platform
        self._spool = spool

    def version(self, info: TableInfo, since: datetime | None = None) -> int:
        """The newest version, or the first that was there at a time or after it. Raises InvalidInput when none was.

        A view's is the sum of the versions that it reads: it grows with each of them.
        """
        if info.view is not None:
            if since is not None:
                raise InvalidInput(f"{info.name} is a view, which has no history")
            return sum(version for _, version in self._versions(info))
        folder = self._platform.catalog.folder(info)
        if since is None:
            return folder.version()
        millis = since.timestamp() * 1000
        later = [int(commit["version"]) for commit in folder.history() if commit["timestamp"] >= millis]
        if not later:
            raise InvalidInput(f"{info.name} has no version at {since.isoformat()} or later")
        return min(later)

    def snapshot(self, who: Identity, info: TableInfo, version: int | None = None, at: datetime | None = None,
                 where: str | None = None) -> Offer:  # fmt: skip
        """A version's files. Raises NotFound for a version that is not there, InvalidInput for one of a view."""
        if info.view is not None:
            if version is not None or at is not None:
                raise InvalidInput(f"{info.name} is a view, which has no versions: ask for it as it is")
            return self._read(who, info, None)
        folder = self._platform.catalog.folder(info)
        found = None if _guarded(info) else manifest(folder.table(version, at), where)
        if found is None:
            return self._read(who, info, version if at is None else folder.table(timestamp=at).version())
        files = tuple(OfferedFile(f.path, False, f.size, f.partition, f.rows, f.stats) for f in found.files)
        return Offer(found.version, found.table_id, found.schema, found.partitions, files)

    def changes(self, info: TableInfo, first: int, last: int) -> list[Change]:
        """Change rows of versions `first` to `last`, each version's in a file of its own."""
        if _guarded(info):
            raise InvalidInput(f"{info.name} is a view or has masks or a filter, whose change rows would show more: query it")
        folder = self._platform.catalog.folder(info)
        rows = batches(folder.changes(first - 1, last)).read_all()
        found = []
        moments = {int(c["version"]): int(c["timestamp"]) for c in folder.history()}
        versions = rows.column("_commit_version") if rows.num_rows else None
        for version in sorted(set(versions.to_pylist())) if versions is not None else ():
            chosen = rows.filter(_equal(versions, version)).drop_columns(["_commit_version", "_commit_timestamp"])
            name = _name("changes", info, version)
            path = self._spool.made(name, lambda chosen=chosen: chosen.to_reader())  # type: ignore[misc]
            file = OfferedFile(name, True, path.stat().st_size, {}, chosen.num_rows, None)
            found.append(Change(version, moments.get(version, 0), file))
        return found

    def _read(self, who: Identity, info: TableInfo, version: int | None) -> Offer:
        """The rows that the recipient may see, masked and filtered, in a file that is theirs."""
        # asked before the rows are read, which may be newer than their name says, and never older
        read = self._versions(info) if version is None else [(info.name, version)]
        with self._platform.sql.run(who, _select(info, version), _catalog(info)) as result:
            name = _name("rows", info, read, sorted(who.names), self.guard(who, info))
            path = self._spool.made(name, result.reader)
        rows = pq.ParquetFile(path)
        stats = json.dumps({"numRecords": rows.metadata.num_rows})
        file = OfferedFile(name, True, path.stat().st_size, {}, rows.metadata.num_rows, stats)
        return Offer(sum(v for _, v in read), _name(info)[:32], schema_json(rows.schema_arrow), (), (file,))

    def guard(self, who: Identity, info: TableInfo) -> str:
        """A mark of what hides rows and columns from the recipient; it changes when any of it does."""
        hidden = [[t.name, sorted(t.masks.items()), t.row_filter, t.view] for t in self._below(info) if _guarded(t)]
        return _name(hidden, sorted(who.names)) if hidden else ""

    def _versions(self, info: TableInfo) -> list[tuple[str, int]]:
        """The newest version of the table, or of every table that a view reads."""
        found = {t.name: self._platform.catalog.folder(t).version() for t in self._below(info) if t.view is None}
        return sorted(found.items())

    def _below(self, info: TableInfo) -> list[TableInfo]:
        """The table, and for a view all that it reads, through other views, too."""
        if info.view is None:
            return [info]
        return [info, *(t for name in tables_of(info.view) for t in self._below(self._platform.catalog.table(name)))]


def local_file(folder: Path, path: str) -> Path | None:
    """A file that really lies below the folder, links followed; else None."""
    root = folder.resolve()
    found = (root / path).resolve()
    return found if found.is_relative_to(root) and found.is_file() and "_delta_log" not in found.relative_to(root).parts else None


def _guarded(info: TableInfo) -> bool:
    return bool(info.masks or info.row_filter or info.view is not None)


def _select(info: TableInfo, version: int | None = None) -> str:
    table = ".".join(quoted(level) for level in info.name.split("."))
    return f"SELECT * FROM {table}" + ("" if version is None else f" VERSION AS OF {version}")


def _catalog(info: TableInfo) -> str:
    return info.name.partition(".")[0]


def _name(*parts: Any) -> str:
    told = [p if not isinstance(p, TableInfo) else [p.name, p.location, str(p.created_at)] for p in parts]
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()


def _equal(values: Any, wanted: int) -> Any:
    import pyarrow.compute as pc

    return pc.equal(values, wanted)


def limited(files: Sequence[OfferedFile], limit: int | None) -> list[OfferedFile]:
    """So many of the first files as hold `limit` rows; all where that is not known."""
    if limit is None:
        return list(files)
    taken: list[OfferedFile] = []
    rows = 0
    for file in files:
        if rows >= limit and taken:
            break
        taken.append(file)
        rows += file.rows or 0
    return taken
