"""Shallow clones: a table of its own over the same files, by hard links on one disk.

Delta's own shallow clones name the source's files by absolute paths, which delta-rs does not follow and we refuse. A
hard link shares the bytes as well, and the files stay for as long as either table needs them: a vacuum of one does
not touch the other.
"""

import errno
import json
import math
import os
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from boathouse.errors import InvalidInput
from boathouse.lake.confined import confine
from boathouse.lake.frames import batches
from boathouse.lake.snapshot import data_files
from boathouse.lake.storage import local_path


def link(source: DeltaTable, target: DeltaTable, name: str) -> int:
    """Put the files of one version into an empty table with the same columns; how many.

    Raises InvalidInput where files cannot be shared: on an object store, across disks, and where the files alone do
    not tell the rows.
    """
    old, new = local_path(source.table_uri), local_path(target.table_uri)
    if old is None or new is None:
        raise InvalidInput(f"{name} lies on an object store, where files cannot be shared: make a deep clone, without --shallow")
    if data_files(source) is None:
        used = ", ".join(source.protocol().reader_features or ["columnMapping"])
        raise InvalidInput(f"{name} needs the Delta features {used}: make a deep clone, without --shallow")
    confine(source)
    partitions = source.metadata().partition_columns
    adds: list[AddAction | RemoveAction] = [
        _linked(old, new, action, partitions, name) for action in batches(source.get_add_actions()).read_all().to_pylist()
    ]
    if adds:
        target.create_write_transaction(adds, mode="append", schema=target.schema(), partition_by=partitions)
    return len(adds)


def _linked(old: Path, new: Path, action: dict[str, Any], partitions: list[str], name: str) -> AddAction:
    path = unquote(action["path"])
    (new / path).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old / path, new / path)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise InvalidInput(f"{name} cannot share its files with {new}: {error.strerror}; make a deep clone") from error
        raise
    kept = action.get("partition") or {}
    values = {p: None if kept[p] is None else _partition(kept[p]) for p in partitions}
    stats = {
        "numRecords": action["num_records"], "minValues": _told(action.get("min")), "maxValues": _told(action.get("max")),
        "nullCount": _told(action.get("null_count")),
    }  # fmt: skip
    return AddAction(
        path=path, size=action["size_bytes"], partition_values=values, modification_time=action["modification_time"],
        data_change=True, stats=json.dumps(stats if action["num_records"] is not None else {}),
    )  # fmt: skip


def _told(values: Any) -> Any:
    """Statistics as the log writes them, without what is not known."""
    if isinstance(values, dict):
        found = {key: _told(value) for key, value in values.items()}
        return {key: value for key, value in found.items() if value is not None}
    if isinstance(values, datetime):
        return values.isoformat().replace("+00:00", "Z")
    if isinstance(values, date):
        return values.isoformat()
    if isinstance(values, float | Decimal):
        return float(values) if math.isfinite(values) else None
    return values


def _partition(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    return value.decode() if isinstance(value, bytes) else str(value)
