"""What changed from version to version: by delta-rs, or by the log where folders have escaped names, which it does not find."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import obstore
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler

from boathouse.errors import InvalidInput
from boathouse.lake.frames import normalised
from boathouse.lake.storage import Storage

_KIND, _VERSION, _TIME = "_change_type", "_commit_version", "_commit_timestamp"


def changes_of(table: DeltaTable, place: Storage, name: str, first: int,
               last: int) -> tuple[pa.Schema, Callable[[], pa.RecordBatchReader]]:  # fmt: skip
    """The columns of change rows, and what reads those of versions `first` to `last` as they are asked for.

    Raises InvalidInput where the changes were not kept, and reading does where a vacuum has deleted their files.
    """

    def read(start: int, end: int) -> pa.RecordBatchReader:
        try:
            return pa.RecordBatchReader.from_stream(table.load_cdf(start, end))
        except DeltaError as error:
            why = str(error).strip().splitlines()[0]
            raise InvalidInput(f"{name} has no changes of versions {start} to {end}: {why}") from error

    if first > last:
        schema = normalised(read(table.version(), table.version()).schema)
        return schema, lambda: pa.RecordBatchReader.from_batches(schema, [])
    kept = read(first, last).schema
    schema = normalised(kept)
    files = escaped_changes(place, first, last) if table.metadata().partition_columns else None

    def rows() -> Iterator[pa.RecordBatch]:
        try:
            yield from read(first, last) if files is None else changed_rows(place, files, schema)
        except (pa.ArrowInvalid, OSError) as error:
            if "not found" not in str(error).lower():
                raise
            raise InvalidInput(
                f"files with the changes of versions {first} to {last} of {name} were deleted by a vacuum; "
                "ask for those since a later version"
            ) from error

    made = schema if files is not None else kept
    return schema, lambda: pa.RecordBatchReader.from_batches(made, rows())


@dataclass(frozen=True)
class ChangedFile:
    """A file of one commit, and what the commit says of its rows; `kind` is None where the rows say it themselves."""

    path: str
    kind: str | None
    partition: Mapping[str, str | None]
    version: int
    milliseconds: int


def escaped_changes(place: Storage, first: int, last: int) -> list[ChangedFile] | None:
    """The files that versions changed, if a folder of them has an escaped name: `city=New%20York`.

    None where there is none, where the log no longer has a commit, and where files do not tell their rows alone.
    """
    store, files = place.store(), list[ChangedFile]()
    for version in range(first, last + 1):
        try:
            said = bytes(obstore.get(store, f"_delta_log/{version:020}.json").bytes())
        except FileNotFoundError:
            return None
        actions = [json.loads(line) for line in said.splitlines() if line.strip()]
        if any(isinstance(a, dict) and a.get("deletionVector") for action in actions for a in action.values()):
            return None
        files += _of_commit(actions, version)
    return files if any("%" in file.path for file in files) else None


def _of_commit(actions: list[dict[str, Any]], version: int) -> list[ChangedFile]:
    info: dict[str, Any] = next((a["commitInfo"] for a in actions if "commitInfo" in a), {})
    at = int(info.get("inCommitTimestamp", info.get("timestamp", 0)))
    found: list[tuple[str | None, dict[str, Any]]] = [(None, a["cdc"]) for a in actions if "cdc" in a]
    if not found:  # by the protocol: a commit that keeps its changes apart tells them all there
        kinds = {"add": "insert", "remove": "delete"}
        found = [(kinds[key], a[key]) for a in actions for key in kinds if key in a and a[key].get("dataChange")]
    return [ChangedFile(a["path"], kind, a.get("partitionValues") or {}, version, at) for kind, a in found]


def changed_rows(place: Storage, files: list[ChangedFile], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The files' rows, batch by batch, in the columns and types of `schema`."""
    opener = pyarrow.fs.PyFileSystem(DeltaStorageHandler(place.url, dict(place.options)))
    for file in files:
        with opener.open_input_file(unquote(file.path)) as opened:
            for batch in pyarrow.parquet.ParquetFile(opened).iter_batches():
                yield pa.RecordBatch.from_arrays([_column(batch, file, field) for field in schema], schema=schema)


def _column(batch: pa.RecordBatch, file: ChangedFile, field: pa.Field) -> pa.Array:
    if field.name in batch.schema.names:
        return batch.column(field.name).cast(field.type)
    told: dict[str, Any] = {
        _KIND: file.kind, _VERSION: file.version, _TIME: datetime.fromtimestamp(file.milliseconds / 1000, UTC),
    }  # fmt: skip
    value = told[field.name] if field.name in told else _partition_value(file.partition.get(field.name), field.type)
    scalar = value if isinstance(value, pa.Scalar) else pa.scalar(value, field.type)
    return pa.repeat(scalar, batch.num_rows)


def _partition_value(written: str | None, kind: pa.DataType) -> pa.Scalar | None:
    """As the log writes it; an empty text is null there, and a time without a zone is UTC."""
    if not written:
        return None
    if pa.types.is_timestamp(kind):
        moment = datetime.fromisoformat(written)
        return pa.scalar(moment if moment.tzinfo else moment.replace(tzinfo=UTC), kind)
    return pa.scalar(written).cast(kind)
