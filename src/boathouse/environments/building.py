"""Builds one Python environment, in a process of its own: `python -m boathouse.environments.building NOTE`."""

import json
import sys
import time
from pathlib import Path

from boathouse.environments.python_environments import PythonEnvironments, Wanted
from boathouse.environments.python_lock import Lock
from boathouse.errors import BoathouseError


def main(note: Path) -> int:
    """Build what a note asks for; the exit code."""
    asked = json.loads(note.read_text())
    wanted = Wanted(Lock(**asked["lock"]) if asked["lock"] else None, tuple(asked["libraries"]))
    names = [wanted.lock.name] if wanted.lock else []
    print(f"building the Python environment {wanted.key} of {', '.join([*names, *wanted.libraries])}", flush=True)
    start = time.monotonic()
    try:
        PythonEnvironments(note.parents[1]).build(wanted)
    except BoathouseError as error:
        print(f"{error.error_code}: {error}", file=sys.stderr)
        return 1
    print(f"built in {time.monotonic() - start:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
