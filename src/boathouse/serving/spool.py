"""The spool: requests are on disk before they are answered, and reach Delta exactly once."""

import fcntl
import io
import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

_ROLL_BYTES = 64 << 20
_BATCH_BYTES = 8 << 20
_KEPT_SECONDS = 600
"""A file that is moved whole is kept so long: by then the operating system has written the table's files to the disk."""
SCHEMA = pa.schema([
    ("request_id", pa.string()), ("client_request_id", pa.string()), ("request_date", pa.date32()),
    ("request_time", pa.timestamp("us", tz="UTC")), ("requester", pa.string()), ("endpoint", pa.string()),
    ("model_version", pa.string()), ("status_code", pa.int32()), ("execution_duration_ms", pa.int64()),
    ("sampling_fraction", pa.float64()), ("request", pa.string()), ("response", pa.string()),
    ("features", pa.string()), ("feature_versions", pa.string()), ("logging_error_codes", pa.list_(pa.string())),
    ("mode", pa.string()), ("shadow_of", pa.string()),
])  # fmt: skip
"""Columns of the bronze table."""
_MADE = ("request_date", "sampling_fraction", "logging_error_codes")
_SPOOLED = pa.schema([(f.name, pa.string() if f.name == "request_time" else f.type) for f in SCHEMA if f.name not in _MADE])
"""What a line of the spool may hold of them; the rest is made."""


class Spool:
    """Appends a line for each request, those that gathered by one write: what a killed process had written is kept."""

    def __init__(self, folder: Path, durable: bool = False) -> None:
        """With `durable`, whoever writes calls `sync` before the answer, and a file that is full is synced by itself."""
        self._folder = folder
        self.durable = durable
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._descriptor = -1
        self._size = _ROLL_BYTES

    def write(self, records: Sequence[bytes]) -> None:
        """Keep requests, each as JSON. Raises OSError where the disk takes them not."""
        text = memoryview(b"".join(line + b"\n" for line in records))
        with self._lock:
            if self._size + len(text) > _ROLL_BYTES:
                self._roll()
            try:
                while text:
                    written = os.write(self._descriptor, text)
                    self._size += written
                    text = text[written:]
            except OSError:
                self._size = _ROLL_BYTES  # a torn line ends this file
                raise

    def sync(self) -> None:
        """Return once all that was written outlives a power cut. Raises OSError."""
        with self._lock:
            held = os.dup(self._descriptor)
        try:
            os.fdatasync(held)
        finally:
            os.close(held)

    def _roll(self) -> None:
        if self._descriptor >= 0:
            if self.durable:
                os.fdatasync(self._descriptor)
            os.close(self._descriptor)
        number = len(list(self._folder.glob("*.jsonl")))
        unique = uuid.uuid4().hex[:8]  # behind walls, processes of several endpoints can have one number
        path = self._folder / f"{number:06d}-{os.getpid()}-{unique}.jsonl"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)  # until it is closed, or this process ends
        self._size = 0
        if self.durable:
            _sync_folder(self._folder)


def _sync_folder(folder: Path) -> None:
    held = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)


Append = Callable[[pa.Table, tuple[str, int]], None]
"""Appends rows unless (application id, number) was committed before."""


def flush(folder: Path, done: Callable[[str], int | None], append: Append) -> int:
    """Move whole lines of a spool folder into a table; how many. Files that nobody writes any more go some minutes later.

    The byte offset reached in each file is the number of the commit's application transaction, so a line
    that was committed before a crash is not committed again after it.
    """
    moved = 0
    for path in sorted(folder.glob("*.jsonl")):
        application = f"spool:{path.name}"
        offset = done(application) or 0
        while chunk := _whole_lines(path, offset):
            offset += len(chunk)
            rows = _rows(chunk)
            append(rows, (application, offset))
            moved += rows.num_rows
        _drop(path, offset)
    return moved


def _drop(path: Path, offset: int) -> None:
    """Remove a file that is moved up to `offset`, unless somebody writes it or more is in it."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        facts = os.fstat(file.fileno())
        if not facts.st_size or time.time() - facts.st_mtime < _KEPT_SECONDS:  # an empty one was made just now
            return
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _whole_lines(path, offset):
                path.unlink()


def _whole_lines(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        chunk = file.read(_BATCH_BYTES)
        if b"\n" not in chunk:  # one request can be larger than a batch
            chunk += file.readline()
    return chunk[: chunk.rfind(b"\n") + 1]


def _rows(lines: bytes) -> pa.Table:
    """Whole lines as rows of the bronze table, by Arrow alone: endpoints answer in the same process meanwhile."""
    read = pyarrow.json.read_json(
        io.BytesIO(lines), pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        pyarrow.json.ParseOptions(explicit_schema=_SPOOLED, unexpected_field_behavior="ignore"),
    )  # fmt: skip
    count, time = read.num_rows, pc.cast(read.column("request_time"), SCHEMA.field("request_time").type)
    codes = pa.array([[]] * count, SCHEMA.field("logging_error_codes").type)
    made = {"request_time": time, "request_date": pc.cast(time, pa.date32()), "sampling_fraction": pa.repeat(1.0, count),
            "logging_error_codes": codes}  # fmt: skip
    return pa.table([made[name] if name in made else read.column(name) for name in SCHEMA.names], schema=SCHEMA)
