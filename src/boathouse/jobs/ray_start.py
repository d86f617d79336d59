"""Starts a task on a node of a Ray cluster, and ends it there when its run is over. It travels with the task, alone.

What it is told lies beside it and is removed first. The task gets its token as every task does, through a pipe.
"""

import ctypes
import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

_NEEDED = ("deltalake", "duckdb", "httpx", "mlflow", "pyarrow", "pydantic", "sqlglot")
_LOOK_SECONDS = 30.0
_DIE_WITH_PARENT = 1
_NOT_CONFIGURED = 78
_SIGNALED = 128


def main() -> int:
    """Run the task; its exit code."""
    note = Path(__file__).with_name("boathouse_handed.json")
    try:
        handed = json.loads(note.read_text())
        note.unlink()
    except FileNotFoundError:
        print("this task was started before: what it was told is gone", file=sys.stderr)
        return _NOT_CONFIGURED
    if lacking := [name for name in _NEEDED if find_spec(name) is None]:
        print(f"MISSING_EXTRA: {sys.executable} on this Ray cluster lacks {', '.join(lacking)}: "
              "run `pip install 'boathouse[ray]'` on its nodes", file=sys.stderr)  # fmt: skip
        return _NOT_CONFIGURED
    task = _begin(handed)
    threading.Thread(target=_end_with_run, args=(task, handed["env"]["BOATHOUSE_URL"], handed["token"]), daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(task, 0)[1])
    return code if code >= 0 else _SIGNALED - code


def _begin(handed: "dict[str, object]") -> int:
    read_end, write_end = os.pipe()
    os.write(write_end, str(handed["token"]).encode())
    os.close(write_end)
    parent, task = os.getpid(), os.fork()
    if task:
        os.close(read_end)
        return task
    try:
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        os.set_inheritable(read_end, True)
        env = {**os.environ, **dict(handed["env"]), "BOATHOUSE_TOKEN_FD": str(read_end)}  # type: ignore[call-overload]
        os.execve(sys.executable, [sys.executable, *list(handed["argv"])], env)  # type: ignore[call-overload]
    except OSError as error:
        os.write(2, f"the task could not be started: {error}\n".encode())
    os._exit(127)


def _end_with_run(task: int, url: str, token: str) -> None:
    """Its token dies with its run: where the server does not know it any more, nobody waits for this task."""
    asked = urllib.request.Request(f"{url}/api/v1/whoami", headers={"Authorization": f"Bearer {token}"})
    while True:
        time.sleep(_LOOK_SECONDS)
        try:
            urllib.request.urlopen(asked, timeout=20).close()
        except urllib.error.HTTPError as error:
            if error.code == 401:
                print("its run is over: the task ends", file=sys.stderr, flush=True)
                os.kill(task, signal.SIGKILL)
        except OSError:
            continue


if __name__ == "__main__":
    sys.exit(main())
