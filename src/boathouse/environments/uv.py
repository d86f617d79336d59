"""One command of uv, which resolves, downloads and installs packages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from boathouse.errors import InvalidInput, Unavailable

_SECONDS = 3600.0


def find() -> str:
    """Where uv is. Raises Unavailable."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise Unavailable("uv, which builds Python environments, was not found: pip install uv")
    return found


def run(*words: str, cwd: Path | None = None) -> str:
    """What uv prints. Raises InvalidInput with its words when it fails, Unavailable where it is missing."""
    environ = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    environ.setdefault("UV_SYSTEM_CERTS", "1")
    try:
        done = subprocess.run(
            [find(), "--color", "never", *words], cwd=cwd, env=environ, capture_output=True, text=True, timeout=_SECONDS,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"`uv {words[0]}` took longer than {_SECONDS:.0f} seconds") from error
    if done.returncode:
        raise InvalidInput(f"uv {' '.join(words[:2])} failed:\n{(done.stderr or done.stdout).strip()}")
    return done.stdout
