"""A real Redis server for tests, on a socket of its own."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Its address and process. Skips the test where no redis-server is installed."""
    pytest.importorskip("redis", reason="pip install 'boathouse[redis]'")
    program = shutil.which("redis-server") or pytest.skip("redis-server is not installed: apt-get install redis-server")
    socket = folder / "redis.sock"
    command = [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + 30
        while not socket.exists() and time.monotonic() < limit and process.poll() is None:
            time.sleep(0.02)
        yield f"unix://{socket}", process
    finally:
        process.kill()
        process.wait()
