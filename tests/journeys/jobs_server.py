"""A server of jobs alone, for tests that kill it: the real rows, shims and processes, with tasks that are shell scripts.

Run as `python jobs_server.py DATABASE_URL EXECUTOR FOLDER [SILENCE [ISOLATION]]`.
"""

import sys
import time
from pathlib import Path

from boathouse.database import Database
from boathouse.environments import Sandbox, isolation
from boathouse.jobs import Hooks, Run, Runner, TaskIdentity, task_process


def script(_kind: str, body: dict[str, str], _python: str = "") -> list[str]:
    return ["/bin/sh", "-c", body["python_file"]]


def identify(run: Run, _task: str) -> TaskIdentity:
    return TaskIdentity("http://127.0.0.1:9", "token", run.environment, {})


def refuse(*_: object) -> str:
    raise NotImplementedError


def main(url: str, executor: str, folder: str, silence: str = "15", walls: str = "none") -> None:
    task_process.command = script  # type: ignore[assignment]
    database = Database(url)
    database.create_tables()
    program, site = isolation(walls).program, str(Path(folder).parent)
    sandbox = Sandbox(program, writable=(site,), hidden=(folder,)) if program else None
    hooks = Hooks(identify, lambda _run: None, refuse, lambda _run: None, sandbox=lambda _run, _task: sandbox)
    runner = Runner(database, executor, Path(folder), hooks, slots=4)
    runner.executors._silence = float(silence)
    runner.recover()
    print("up", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
