"""Files made for recipients: what they may see of tables whose own files would show more, or could not be read."""

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from boathouse.errors import NotFound
from boathouse.server.sharing.links import LIFETIME_SECONDS

_NAME = re.compile(r"[0-9a-f]{64}")
_KEPT_SECONDS = 2 * LIFETIME_SECONDS


class Spool:
    """Parquet files by name, each written once and removed when no link to it holds any more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._making = [threading.Lock() for _ in range(16)]  # one that takes long holds up few others

    def made(self, name: str, rows: Callable[[], pa.RecordBatchReader]) -> Path:
        """The file of that name; `rows` are written when it is not there."""
        path = self.path(name)
        self._forget()
        with self._making[int(name[0], 16)]:
            if not path.exists():
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                _write(path, rows())
            os.utime(path)
        return path

    def path(self, name: str) -> Path:
        """Where a file of that name is. Raises NotFound for what is no name."""
        if not _NAME.fullmatch(name):
            raise NotFound("there is no such file")
        return self._folder / f"{name}.parquet"

    def _forget(self) -> None:
        for old in self._folder.glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if old.stat().st_mtime < time.time() - _KEPT_SECONDS:
                    old.unlink()


def _write(path: Path, rows: pa.RecordBatchReader) -> None:
    """Whole or not at all: under another name until the last row is there."""
    fresh = path.with_suffix(f".{threading.get_ident()}.new")
    try:
        with pq.ParquetWriter(fresh, rows.schema) as writer:
            for batch in rows:
                writer.write_batch(batch)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
