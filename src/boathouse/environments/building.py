"""Builds one Python environment, in a process of its own: `python -m boathouse.environments.building NOTE`.

A package that comes as source runs its own code when it is built. Where there are walls, wheels are installed without, and
what must be built is built once more behind them: in a folder apart, with a cache of its own, seeing neither home nor data.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boathouse.environments.python_environments import PythonEnvironments, Wanted
from boathouse.environments.python_lock import Lock
from boathouse.environments.sandbox import SCRATCH, Sandbox
from boathouse.errors import BoathouseError, InvalidInput, RunFailed


def main(note: Path) -> int:
    """Build what a note asks for; the exit code."""
    asked = json.loads(note.read_text())
    wanted = Wanted(Lock(**asked["lock"]) if asked["lock"] else None, tuple(asked["libraries"]))
    names = [wanted.lock.name] if wanted.lock else []
    print(f"building the Python environment {wanted.key} of {', '.join([*names, *wanted.libraries])}", flush=True)
    start = time.monotonic()
    try:
        _build(note.parents[1], wanted, asked.get("walls"))
    except RunFailed:
        return 1  # it has said why
    except BoathouseError as error:
        print(f"{error.error_code}: {error}", file=sys.stderr)
        return 1
    print(f"built in {time.monotonic() - start:.1f} s", flush=True)
    return 0


def _build(folder: Path, wanted: Wanted, walls: Mapping[str, Any] | None) -> None:
    environments = PythonEnvironments(folder, wheels_only=walls is not None)
    try:
        environments.build(wanted)
    except InvalidInput:
        if walls is None:
            raise
        print("not all of it comes as wheels, it seems: once more, behind walls", flush=True)
        _behind_walls(environments, folder, wanted, walls)


def _behind_walls(environments: PythonEnvironments, folder: Path, wanted: Wanted, walls: Mapping[str, Any]) -> None:
    apart = folder / f".building-{wanted.key}-{os.getpid()}"
    scratch = apart / "scratch"
    scratch.mkdir(parents=True, mode=0o700)
    try:
        if (folder / "resolved").is_dir():
            shutil.copytree(folder / "resolved", apart / "resolved")
        note = PythonEnvironments(apart).request(wanted)
        sandbox = Sandbox(walls["program"], (str(apart),), (*walls["readable"], *_settings()), tuple(walls["hidden"]))
        words = [sys.executable, "-P", "-m", "boathouse.environments.building", str(note)]
        environ = {**os.environ, **sandbox.environ, **_configured(), "UV_CACHE_DIR": str(apart / "cache")}
        done = subprocess.run(sandbox.around(words, cwd=SCRATCH, scratch=str(scratch)), env=environ, check=False)
        if done.returncode:
            raise RunFailed("building it behind walls failed")
        environments.admit(wanted, apart)
    finally:
        shutil.rmtree(apart, ignore_errors=True)


def _settings() -> list[str]:
    """What uv reads on this machine: its own settings, and folders of packages."""
    own = [place for place in (Path.home() / ".config" / "uv", Path("/etc/uv")) if place.is_dir()]
    links = [Path(word) for word in os.environ.get("UV_FIND_LINKS", "").split() if word.startswith("/")]
    return [str(place) for place in (*own, *links) if place.exists()]


def _configured() -> dict[str, str]:
    """HOME is another one behind walls."""
    own = Path.home() / ".config" / "uv" / "uv.toml"
    return {"UV_CONFIG_FILE": str(own)} if own.is_file() and "UV_CONFIG_FILE" not in os.environ else {}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
