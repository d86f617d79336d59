"""The spool: requests are on disk before they are answered, and reach Delta exactly once."""

import json
import os
import threading
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import pyarrow as pa

from boathouse.clock import parse_instant

_ROLL_BYTES = 64 << 20
_BATCH_BYTES = 8 << 20
SCHEMA = pa.schema([
    ("request_id", pa.string()), ("client_request_id", pa.string()), ("request_date", pa.date32()),
    ("request_time", pa.timestamp("us", tz="UTC")), ("requester", pa.string()), ("endpoint", pa.string()),
    ("model_version", pa.string()), ("status_code", pa.int32()), ("execution_duration_ms", pa.int64()),
    ("sampling_fraction", pa.float64()), ("request", pa.string()), ("response", pa.string()),
    ("features", pa.string()), ("feature_versions", pa.string()), ("logging_error_codes", pa.list_(pa.string())),
    ("mode", pa.string()), ("shadow_of", pa.string()),
])  # fmt: skip
"""Columns of the bronze table."""


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
    """Move whole lines of a spool folder into a table; how many.

    The byte offset reached in each file is the number of the commit's application transaction, so a line
    that was committed before a crash is not committed again after it.
    """
    moved = 0
    for path in sorted(folder.glob("*.jsonl")):
        application = f"spool:{path.name}"
        offset = done(application) or 0
        while chunk := _whole_lines(path, offset):
            offset += len(chunk)
            rows = pa.Table.from_pylist([_row(json.loads(line)) for line in chunk.splitlines()], SCHEMA)
            append(rows, (application, offset))
            moved += rows.num_rows
    return moved


def _whole_lines(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        chunk = file.read(_BATCH_BYTES)
        if b"\n" not in chunk:  # one request can be larger than a batch
            chunk += file.readline()
    return chunk[: chunk.rfind(b"\n") + 1]


def _row(record: dict[str, Any]) -> dict[str, Any]:
    time = parse_instant(record["request_time"]).astimezone(UTC)
    return {**{name: record.get(name) for name in SCHEMA.names}, "request_time": time, "request_date": time.date(),
            "sampling_fraction": 1.0, "logging_error_codes": []}  # fmt: skip
