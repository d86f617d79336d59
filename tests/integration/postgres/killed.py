"""What programs share that carry orders out in forks and are killed while doing so."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection
from typing import Any

import sqlalchemy as sa


def die_at(engine: sa.Engine, number: int, changes: Collection[str] = ()) -> None:
    """End this process, as kill -9 does, before a step by its number: a statement, a commit, or one of Python's audit events."""
    seen = 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(engine, "before_cursor_execute", count)
    sa.event.listen(engine, "commit", count)
    sys.addaudithook(lambda event, _: count() if event in changes else None)


def forked(work: Callable[[], None], before: Callable[[], None]) -> int:
    """Work in a process of its own, so that what takes seconds to import is imported once; its number.

    `before` closes connections, which the two must not share.
    """
    before()
    if pid := os.fork():
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()  # the end of the fork would take it along
    finally:
        os._exit(code)


def ended(*pids: int) -> str:
    """How they ended, in a word."""
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    return "done" if not any(codes) else "killed" if codes == [-signal.SIGKILL] else f"failed {codes}"
