"""Publishing: a new snapshot beside the one that is served, then the pointer."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from uuid import uuid4

import lmdb
import pyarrow as pa
from filelock import FileLock, Timeout

from boathouse import clock
from boathouse.errors import Conflict, InvalidInput, NotFound
from boathouse.features.online.codec import (
    KeyCodec,
    check_sorted_unique,
    duplicate,
    encoded_rows,
    stored_type,
)
from boathouse.features.online.table import (
    POINTER,
    OnlineTable,
    folder_of,
    read_pointer,
    sync_folder,
    write_pointer,
)

_MAP_BYTES = 64 << 30  # address space, not disk: the file holds what was written
_CHUNK_ROWS = 500_000  # sorted at a time
_PATIENCE = 60.0  # seconds for another publisher to finish


def publish(
    directory: Path, table: str, batches: Iterable[pa.RecordBatch], keys: Sequence[str], version: int
) -> int:
    """Serve these rows, and only these, as `table` at Delta `version`; gives the number of rows.

    One row for each key; rows with a null in the key are left out. `batches` may be a RecordBatchReader,
    which has a schema even without rows. Readers get the old rows until the new ones are safely on disk.
    Raises DuplicateKey, InvalidInput, and Conflict while another process publishes the table.
    """
    folder = folder_of(directory, table)
    with _sole_publisher(directory, table):
        folder.mkdir(parents=True, exist_ok=True)
        before = _served(folder)
        snapshot = f"{version}-{uuid4().hex[:12]}"
        (folder / snapshot).mkdir()
        try:
            description = _write(folder / snapshot, table, batches, keys, version)
            sync_folder(folder)
            write_pointer(folder, description)
        except BaseException:
            shutil.rmtree(folder / snapshot, ignore_errors=True)
            raise
        _remove_others(folder, {snapshot, before})
    return description.rows


def withdraw(directory: Path, table: str) -> None:
    """Stop serving a table and remove its files. Raises NotFound."""
    folder = folder_of(directory, table)
    with _sole_publisher(directory, table):
        if _served(folder) is None:
            raise NotFound(f"{table} is not published in the online store")
        (folder / POINTER).unlink()
        shutil.rmtree(folder)


@contextmanager
def _sole_publisher(directory: Path, table: str) -> Iterator[None]:
    locks = Path(directory) / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(locks / table, timeout=_PATIENCE):
            yield
    except Timeout as error:
        raise Conflict(f"another process is publishing {table}: try again when it is done") from error


def _served(folder: Path) -> str | None:
    try:
        return read_pointer(folder)[1].snapshot
    except FileNotFoundError:
        return None


def _write(
    path: Path, table: str, batches: Iterable[pa.RecordBatch], keys: Sequence[str], version: int
) -> OnlineTable:
    schema, rest = _with_schema(table, batches)
    if not keys or any(key not in schema.names for key in keys):
        raise InvalidInput(
            f"the keys of {table} are ({', '.join(keys)}), its rows have ({', '.join(schema.names)}): "
            "name at least one key, and bring all of them"
        )
    columns = [name for name in schema.names if name not in keys]
    types = {name: stored_type(schema.field(name).type) for name in schema.names}
    key_types = [types[key] for key in keys]
    codec = KeyCodec(keys, key_types)
    rows = chain.from_iterable(encoded_rows(batch, codec, keys, columns) for batch in rest)
    with lmdb.open(str(path), map_size=_MAP_BYTES, lock=False) as environment:
        count = _fill(environment, rows, table)
    sync_folder(path)
    return OnlineTable(
        table=table,
        version=version,
        keys=tuple(keys),
        key_types=tuple(key_types),
        columns=tuple(columns),
        types=tuple(types[name] for name in columns),
        rows=count,
        published_at=clock.now(),
        snapshot=path.name,
    )


def _with_schema(table: str, batches: Iterable[pa.RecordBatch]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    if isinstance(batches, pa.RecordBatchReader):
        return batches.schema, iter(batches)
    rest = iter(batches)
    first = next(rest, None)
    if first is None:
        raise InvalidInput(
            f"nothing says which columns {table} has: publish at least one batch, even if empty"
        )
    return first.schema, chain([first], rest)


def _fill(environment: lmdb.Environment, rows: Iterator[tuple[bytes, bytes]], table: str) -> int:
    """Everything in one durable transaction, in sorted chunks; gives the number of rows."""
    count = 0
    with environment.begin(write=True) as transaction:
        cursor = transaction.cursor()
        while chunk := sorted(islice(rows, _CHUNK_ROWS)):
            check_sorted_unique(chunk, table)
            if count and (doubled := next((key for key, _ in chunk if transaction.get(key)), None)):
                raise duplicate(table, doubled)
            cursor.putmulti(chunk, append=not count)
            count += len(chunk)
    return count


def _remove_others(folder: Path, kept: set[str | None]) -> None:
    for path in folder.iterdir():
        if path.is_dir() and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
