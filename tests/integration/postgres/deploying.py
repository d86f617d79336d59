"""Deploys, merges and releases, and is killed while doing so: `python deploying.py HOME FOLDER`, one order a line.

    deploy VERSION KILL    the project's folder of that version to dev
    destroy KILL           all that it has in dev
    merge NUMBER KILL      a merge request
    release VERSION KILL   main to prod
    race ROUNDS            three processes at once deploy the one version, the other, and destroy

KILL is the number of the step, a statement, a commit, a process begun or a change of the file system, before which the
fork that carries the order out ends as by kill -9. Answers `killed` or `done`. Settings come from the environment.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from boathouse import settings
from boathouse.identity import Identity
from boathouse.platform import Platform

ADMIN = Identity("admin", frozenset({"admins"}))
_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "subprocess.Popen")


def die_at(engine: sa.Engine, number: int) -> None:
    """End this process before a step by its number."""
    seen = 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(engine, "before_cursor_execute", count)
    sa.event.listen(engine, "commit", count)
    sys.addaudithook(lambda event, _: count() if event in _CHANGES else None)


def act(platform: Platform, folder: Path, words: list[str]) -> None:
    """Carry an order out."""
    match words:
        case ["deploy", version]:
            platform.code.deploy(ADMIN, "dev", path=str(folder / version))
        case ["destroy"]:
            platform.code.destroy(ADMIN, "dev", "shop")
        case ["merge", number]:
            platform.code.merge(ADMIN, int(number))
        case ["release", version]:
            platform.code.cut_release(ADMIN, "shop", version)


def forked(platform: Platform, work: Callable[[], None]) -> int:
    """Work in a process of its own, which shares no connection with this one."""
    platform.database.close()
    if pid := os.fork():
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def main(home: str, folder: Path) -> None:
    platform = Platform(settings.load(home=home))

    def killed_at(number: int, words: list[str]) -> None:
        die_at(platform.database.engine, number)
        act(platform, folder, words)

    def repeat(rounds: int, words: list[str]) -> None:
        for _ in range(rounds):
            act(platform, folder, words)

    print("ready", flush=True)
    for line in sys.stdin:
        *words, last = line.split()
        if words == ["race"]:
            works = [partial(repeat, int(last), w) for w in (["deploy", "one"], ["deploy", "two"], ["destroy"])]
        else:
            works = [partial(killed_at, int(last), words)]
        ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in [forked(platform, w) for w in works]]
        print("done" if not any(ends) else "killed" if ends == [-signal.SIGKILL] else f"failed {ends}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
