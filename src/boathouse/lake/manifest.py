"""What a version of a table is made of, for readers who fetch its files themselves."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable, Schema

from boathouse.lake.frames import batches
from boathouse.lake.snapshot import data_files


@dataclass(frozen=True)
class ManifestFile:
    """One Parquet file. `path` is below the table's folder; `partition` holds values as Delta writes them."""

    path: str
    size: int
    modified: int
    partition: dict[str, str | None]
    rows: int | None
    stats: str | None


@dataclass(frozen=True)
class Manifest:
    """A version's schema, as Delta's JSON, and its files."""

    version: int
    table_id: str
    schema: str
    partitions: tuple[str, ...]
    files: tuple[ManifestFile, ...]


def manifest(table: DeltaTable, where: str | None = None) -> Manifest | None:
    """The files of a snapshot that may hold rows which meet a condition.

    None where the rows are not simply what stands in files of this table's own folder: with deletion vectors, column
    mapping or widened types, and for shallow clones.
    """
    found = data_files(table, where)
    if found is None or "typeWidening" in (table.protocol().reader_features or ()):
        return None
    if any(name.startswith("/") or ":" in name.split("/")[0] or ".." in name.split("/") for name in found.names):
        return None
    wanted = set(found.names)
    actions = batches(table.get_add_actions(flatten=False)).read_all().to_pylist()
    files = tuple(_file(action) for action in actions if unquote(action["path"]) in wanted)
    metadata = table.metadata()
    return Manifest(table.version(), str(metadata.id), table.schema().to_json(), found.partitions, files)


def schema_json(schema: pa.Schema) -> str:
    """An Arrow schema as Delta writes it."""
    return Schema.from_arrow(schema).to_json()


def _file(action: dict[str, Any]) -> ManifestFile:
    modified = action.get("modification_time")
    partition = action.get("partition") or action.get("partition_values") or {}
    millis = int(modified.timestamp() * 1000) if isinstance(modified, datetime) else int(modified or 0)
    return ManifestFile(
        unquote(action["path"]), int(action["size_bytes"]), millis, {k: _written(v) for k, v in partition.items()},
        action.get("num_records"), _stats(action),
    )  # fmt: skip


def _stats(action: dict[str, Any]) -> str | None:
    if action.get("num_records") is None:
        return None
    told: dict[str, Any] = {"numRecords": action["num_records"]}
    for name, key in (("minValues", "min"), ("maxValues", "max"), ("nullCount", "null_count")):
        values = {k: _judged(v) for k, v in (action.get(key) or {}).items()}
        told[name] = {k: v for k, v in values.items() if v is not None}
    return json.dumps(told)


def _judged(value: Any) -> int | float | str | None:
    """A value as the Delta log writes statistics; None for what it does not compare."""
    if isinstance(value, int | float | str):
        return value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else None


def _written(value: Any) -> str | None:
    """A value as the Delta log writes partition values."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
    return value.isoformat() if isinstance(value, date) else str(value)
