"""One attempt of a task as a folder and a shim: start it, find it again after a crash, see how it ended, end it."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boathouse.environments import Sandbox
from boathouse.jobs import shim
from boathouse.jobs.definition import NO_LIMITS, Limits
from boathouse.jobs.task_process import building, describe_exit

MARK = "BOATHOUSE_ATTEMPT"
"""The environment variable by which every process of an attempt is known, wherever it went."""
OUT_OF_MEMORY = "out of memory"
_TELLING = threading.Lock()
"""Long messages of two threads would mix in a pipe."""

_OWN = ("scratch", "code")
_AFTER_SECONDS = 90.0
_MOST_SHIMS = 20


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: SUCCESS, FAILED, CANCELED or LOST, in words, and the exit code."""

    state: str
    reason: str | None
    exit_code: int | None
    timed_out: bool = False


class Attempt:
    """An attempt's folder: `lock` (held while the shim lives), `started`, `exit.json`; `scratch`, `code` of one with walls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, argv: Sequence[str], environ: Mapping[str, str], *, token: str, cwd: Path, log: Path,
              timeout: float = 0, limits: Limits = NO_LIMITS, prepare: Sequence[str] = (), after: Sequence[str] = (),
              hidden: Sequence[str] = (), sandbox: Sandbox | None = None) -> int:  # fmt: skip
        """Start it in a shim that outlives this process; the shim's pid. A second shim of one attempt ends at once.

        `prepare` is executed before it; where that fails, so does the attempt. The `sandbox` is around what is executed then.
        `after` is executed where it did not end well by itself: it undoes what was begun elsewhere.
        Its log shows none of the texts `hidden`.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        log.parent.mkdir(parents=True, exist_ok=True)
        marked = {**environ, MARK: str(self.folder)}
        spec = {"folder": str(self.folder), "argv": list(argv), "env": marked, "token": token, "cwd": str(cwd),
                "log": str(log), "timeout": timeout, "memory": limits.memory, "cpus": limits.cpus}  # fmt: skip
        if prepare:
            spec["prepare"] = {**spec, "argv": list(prepare), "env": {**building(), MARK: str(self.folder)}, "token": ""}
        if after:
            spec["after"] = {**spec, "argv": list(after), "timeout": _AFTER_SECONDS}
            self._keep_log_start(log)
        spec["hidden"] = list(hidden)
        if sandbox:
            spec |= self._walled(sandbox, argv, marked, cwd)
        read_end, write_end = os.pipe()
        try:
            pid = os.posix_spawn(
                sys.executable, [sys.executable, "-I", "-S", str(Path(shim.__file__))], {MARK: str(self.folder)}, setsid=True,
                file_actions=[(os.POSIX_SPAWN_DUP2, read_end, 0), *self._words()],
            )  # fmt: skip
        finally:
            os.close(read_end)
        with contextlib.suppress(BrokenPipeError), os.fdopen(write_end, "wb") as told:
            told.write(json.dumps(spec).encode())
        return pid

    def _walled(self, sandbox: Sandbox, argv: Sequence[str], environ: Mapping[str, str], cwd: Path) -> dict[str, Any]:
        scratch, copy = (str(self.folder / name) for name in _OWN)
        inside = sandbox.around(argv, cwd=str(cwd), scratch=scratch, copy=copy)
        made = {"argv": inside, "env": {**environ, **sandbox.environ}, "cwd": "/", "scratch": scratch}
        return made | ({"copy": [sandbox.copied, copy]} if sandbox.copied else {})

    def _words(self) -> list[tuple[int, int, str, int, int]]:
        path, flags = str(self.folder / "shim.log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND
        return [(os.POSIX_SPAWN_OPEN, output, path, flags, 0o600) for output in (1, 2)]

    def renew(self, log: Path) -> bool:
        """Let another shim follow what goes on elsewhere, since the first was killed; its log begins anew. Not for ever."""
        if self.alive or len(list(self.folder.glob("started.*"))) >= _MOST_SHIMS:
            return False
        (self.folder / "started").rename(self.folder / f"started.{time.time_ns()}")
        with contextlib.suppress(OSError, ValueError):
            os.truncate(log, int((self.folder / "log_start").read_text()))
        return True

    def _keep_log_start(self, log: Path) -> None:
        with contextlib.suppress(FileExistsError), (self.folder / "log_start").open("x") as kept:
            kept.write(str(log.stat().st_size if log.exists() else 0))

    @property
    def ended(self) -> bool:
        """Whether its shim left how it ended."""
        return (self.folder / "exit.json").exists()

    @property
    def begun(self) -> bool:
        """Whether a shim took it."""
        return (self.folder / "started").exists()

    @property
    def alive(self) -> bool:
        """Whether its shim lives."""
        try:
            with (self.folder / "lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @property
    def shim(self) -> int | None:
        """The shim's process id, once it has begun."""
        try:
            return int(json.loads((self.folder / "started").read_text())["pid"])
        except (OSError, ValueError, KeyError):
            return None

    @property
    def words(self) -> str:
        """What the shim itself said, which it does only when it fails."""
        try:
            return (self.folder / "shim.log").read_text(errors="replace").strip()[-500:]
        except OSError:
            return ""

    def outcome(self) -> Outcome | None:
        """How it ended, None while it goes on. Asked for an attempt that was begun."""
        if self.alive:
            return None
        try:
            left = json.loads((self.folder / "exit.json").read_text())
        except (OSError, ValueError):
            return Outcome("LOST", "its process was killed from outside and left no outcome", None)
        return _outcome(left, self._told())

    def _told(self) -> Mapping[str, Any]:
        """What whoever followed a task on a cluster says of its end."""
        try:
            told: Mapping[str, Any] = json.loads((self.folder / "told.json").read_text())
        except (OSError, ValueError):
            return {}
        return told

    def hide(self, texts: Sequence[str]) -> None:
        """From now on its log shows none of these texts, however soon the task says them."""
        try:
            told = os.open(self.folder / "hide", os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return  # its shim is gone, and the task with it
        os.set_blocking(told, True)
        with _TELLING, contextlib.suppress(BrokenPipeError), os.fdopen(told, "wb") as pipe:
            pipe.write(json.dumps(list(texts)).encode() + b"\n")

    def ask_to_end(self) -> bool:
        """Tell the shim to end it; whether there is one that can."""
        pid = self.shim
        if pid is None or not self.alive:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        return True

    def end(self, patience: float = 5.0) -> None:
        """Have the shim end it; where the shim is gone or does not answer, end its processes one by one."""
        if self.ask_to_end():
            limit = time.monotonic() + patience
            while self.alive and time.monotonic() < limit:
                time.sleep(0.01)
        self.sweep()

    def sweep(self) -> None:
        """Kill whatever of it is left, however it was detached."""
        for _ in range(50):  # a process may start another while we look
            left = [pid for pid, folder in marked(str(self.folder)) if folder == str(self.folder)]
            if not left:
                break
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        for name in _OWN:
            shutil.rmtree(self.folder / name, ignore_errors=True)


def marked(under: str) -> Iterator[tuple[int, str]]:
    """(process, attempt folder) of every living process of attempts under a folder. Needs /proc."""
    wanted = f"{MARK}={under}".encode()
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as found:
                for entry in found.read().split(b"\0"):
                    if entry.startswith(wanted):
                        yield int(name), entry.partition(b"=")[2].decode()
        except OSError:
            continue


def end_marked(under: str) -> None:
    """Kill every process that is marked by a folder under this one."""
    for pid, _ in list(marked(under)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _outcome(left: Mapping[str, Any], told: Mapping[str, Any]) -> Outcome:
    code, why = int(left["code"]), left.get("why")
    if why == "timeout":
        return Outcome("FAILED", None, code, timed_out=True)
    if why == "canceled":
        return Outcome("CANCELED", None, code)
    if why == "memory":
        return Outcome("FAILED", OUT_OF_MEMORY, code)
    if told:
        return Outcome(told["state"], told["reason"], code)
    return Outcome("SUCCESS", None, 0) if code == 0 else Outcome("FAILED", describe_exit(code), code)
