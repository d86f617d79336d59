"""Stands between the server and one attempt of a task, and outlives the server. Runs alone: `python -I -S shim.py`.

It reads what to run from its standard input, holds a lock on the attempt's folder while it lives, carries the task's words
into its log with secrets hidden, ends the task when its time or memory is over or when told to (SIGTERM), ends all that the
task left behind, and leaves `exit.json`. It imports nothing of the package, so that it starts in milliseconds.
"""

import _thread
import ctypes
import fcntl
import json
import os
import re
import select
import signal
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself takes milliseconds to import
    from typing import Any

    Spec = dict[str, Any]

_DIE_WITH_PARENT, _ADOPT_ORPHANS = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER
_SIGNALS = {signal.SIGCHLD, signal.SIGTERM}
_SIGNALED = 128
"""A sandbox and a cluster tell a signal that ended the task as an exit code that is greater by this, as shells do."""
_MEMORY_SECONDS = 0.25
_LAST_WORDS_SECONDS = 5.0
_REDACTED = b"[REDACTED]"
_ROOM = 1024
"""Bytes set aside for `exit.json` at the start, so that a disk that is full by then does not lose the outcome."""


def main() -> int:
    """Run one attempt; 0 also where another shim has this attempt already."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    spec = json.load(sys.stdin.buffer)
    os.chdir("/")
    folder = spec["folder"]
    lock = os.open(f"{folder}/lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        marker = os.open(f"{folder}/started", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except (BlockingIOError, FileExistsError):
        return 0
    os.write(marker, json.dumps({"pid": os.getpid()}).encode())
    _write(f"{folder}/exit.new", b" " * _ROOM)
    _control(_ADOPT_ORPHANS, 1)
    killed = _kernel_kills()
    told, sieve = _listen(f"{folder}/hide"), Sieve(spec.get("hidden") or [])
    code, why = 0, ""
    for part in [p for p in (spec.get("prepare"), spec) if p]:
        task, words = _spawn(part)
        said = _carry(words, told, spec["log"], sieve)
        code, why = _watch(task, spec.get("timeout") or 0, spec.get("memory") or 0)
        _end_descendants(task)
        said.acquire(timeout=_LAST_WORDS_SECONDS)
        if code or why:
            break
    if spec.get("after") and (code or why):
        task, words = _spawn(spec["after"])
        said = _carry(words, told, spec["log"], sieve)
        _watch(task, spec["after"]["timeout"], 0, heedless=True)
        said.acquire(timeout=_LAST_WORDS_SECONDS)
    os.unlink(f"{folder}/hide")
    if (spec.get("scratch") or spec.get("after")) and _SIGNALED < code < _SIGNALED + signal.NSIG:
        code = _SIGNALED - code
    if code == -signal.SIGKILL and not why and _kernel_kills() > killed:
        why = "memory"
    _leave(folder, {"code": code, "why": why, "ended_at": time.time()})
    for own in (spec.get("scratch"), (spec.get("copy") or (None, None))[1]):
        if own:
            _remove(own)
    return 0


class Sieve:
    """Hides texts in a stream, those too that come in pieces."""

    def __init__(self, hidden: "list[str]") -> None:
        self._hidden: set[bytes] = set()
        self._kept = b""
        self.hide(hidden)

    def hide(self, texts: "list[str]") -> None:
        """Hide these too, from what has not been given out yet on."""
        self._hidden |= {text.encode() for text in texts if text}
        longest_first = sorted(self._hidden, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, longest_first))) if longest_first else None

    def put(self, piece: bytes) -> bytes:
        """What can be given out now: an end that may be the beginning of a hidden text waits for the next piece."""
        text = self._kept + piece
        if self._pattern is None:
            return text
        end = min((_begun(text, hidden) for hidden in self._hidden), default=len(text))
        for match in self._pattern.finditer(text):
            if match.start() < end < match.end():
                end = match.start()
        self._kept = text[end:]
        return self._pattern.sub(_REDACTED, text[:end])

    def rest(self) -> bytes:
        """What waited, at the end."""
        text, self._kept = self._kept, b""
        return self._pattern.sub(_REDACTED, text) if self._pattern else text


def _begun(text: bytes, hidden: bytes) -> int:
    """Where a text ends with the beginning of a hidden one; its length where it does not."""
    at = text.find(hidden[:1], max(0, len(text) - len(hidden) + 1))
    while at >= 0:
        if hidden.startswith(text[at:]):
            return at
        at = text.find(hidden[:1], at + 1)
    return len(text)


def _listen(path: str) -> int:
    """Where we are told what else to hide; opened for both, so that it never ends."""
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)


def _carry(words: int, told: int, path: str, sieve: Sieve) -> "_thread.LockType":
    """Bring a task's words to its log in the background; the lock is free once they have ended."""
    said = _thread.allocate_lock()
    said.acquire()
    log = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def carry() -> None:
        try:
            _pump(words, told, log, sieve)
        finally:
            os.close(words)
            os.close(log)
            said.release()

    _thread.start_new_thread(carry, ())
    return said


def _pump(words: int, told: int, log: int, sieve: Sieve) -> None:
    heard, lost = b"", False
    while True:
        ready = select.select([words, told], [], [])[0]
        piece = os.read(words, 1 << 16) if words in ready else None
        with suppress(BlockingIOError):  # after the words: whoever tells us does so before the task can say it
            while more := os.read(told, 1 << 16):
                heard += more
        *lines, heard = heard.split(b"\n")
        for line in lines:
            sieve.hide(json.loads(line))
        if piece is not None:
            out = sieve.put(piece) if piece else sieve.rest()
            lost = not _say(log, b"[words were lost: the disk was full]\n" + out if lost and out else out) or (lost and not out)
        if piece == b"":
            return


def _say(log: int, text: bytes) -> bool:
    """Whether it could be written: a disk that is full does not stop the task."""
    try:
        while text:
            text = text[os.write(log, text) :]
    except OSError:
        return False
    return True


def _furnish(spec: "Spec") -> None:
    """The folders that a sandboxed task has for itself: its scratch, and a copy of its commit."""
    if spec.get("scratch"):
        os.mkdir(spec["scratch"], 0o700)
    if spec.get("copy"):
        import shutil

        source, target = spec["copy"]
        shutil.copytree(source, target, symlinks=True)


def _remove(folder: str) -> None:
    for place, folders, files in os.walk(folder, topdown=False):
        for name in (*folders, *files):
            path = f"{place}/{name}"
            with suppress(OSError):
                (os.rmdir if name in folders and not os.path.islink(path) else os.unlink)(path)
    with suppress(OSError):
        os.rmdir(folder)


def _spawn(spec: "Spec") -> tuple[int, int]:
    """The task's process, and where its words come from."""
    read_end, write_end = os.pipe()
    os.write(write_end, spec["token"].encode())
    os.close(write_end)
    words, output = os.pipe()
    shim = os.getpid()
    task = os.fork()
    if task:
        os.close(read_end)
        os.close(output)
        return task, words
    try:
        os.setsid()
        _control(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != shim:
            os._exit(1)
        if spec.get("cpus"):
            os.sched_setaffinity(0, _processors(spec["cpus"]))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.set_inheritable(read_end, True)
        _furnish(spec)
        os.chdir(spec["cwd"])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.execve(spec["argv"][0], spec["argv"], spec["env"] | {"BOATHOUSE_TOKEN_FD": str(read_end)})
    except OSError as error:
        os.write(2, f"the task could not be started: {error}\n".encode())
    os._exit(127)


def _processors(count: int) -> "list[int]":
    """Some of the processors, from another one on in each task, so that tasks spread over the machine."""
    there = sorted(os.sched_getaffinity(0))
    start = os.getpid() % len(there)
    return (there + there)[start : start + min(count, len(there))]


def _watch(task: int, timeout: float, memory: int, heedless: bool = False) -> tuple[int, str]:
    """Wait for the task's end: its exit code (negative: a signal) and why it was ended, if it was; `heedless`, not when told."""
    limit = time.monotonic() + timeout if timeout else None
    why = ""
    while (code := _reaped(task)) is None:
        if not why and limit and time.monotonic() >= limit:
            why = "timeout"
        if not why and memory and _resident() > memory:
            why = "memory"
        if why:
            _kill_group(task)
        pause = _MEMORY_SECONDS if memory or why else 60.0
        if limit:
            pause = max(0.0, min(pause, limit - time.monotonic())) if not why else pause
        told = signal.sigtimedwait(_SIGNALS, pause)
        if told and told.si_signo == signal.SIGTERM and not why and not heedless:
            why = "canceled"
    return code, why


def _reaped(task: int) -> int | None:
    code = None
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == task:
                code = os.waitstatus_to_exitcode(ended[1])
    except ChildProcessError:
        pass
    return code


def _end_descendants(task: int) -> None:
    """Kill what the task left: its group, and whoever left the group and was handed to us."""
    _kill_group(task)
    while children := _children():
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            while os.waitpid(-1, 0)[0]:
                pass
        except ChildProcessError:
            return


def _children(of: int = 0) -> list[int]:
    parent = of or os.getpid()
    found = []
    try:
        for thread in os.listdir(f"/proc/{parent}/task"):
            with open(f"/proc/{parent}/task/{thread}/children", encoding="ascii") as told:
                found += [int(pid) for pid in told.read().split()]
    except OSError:
        pass
    return found


def _kill_group(task: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(task, signal.SIGKILL)


def _resident() -> int:
    """Bytes in memory of all that the task started, whatever session it is in: a notebook's kernel has its own."""
    parents, page, total = {}, os.sysconf("SC_PAGE_SIZE"), 0
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            with suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat", "rb") as found:
                parents[int(name)] = int(found.read().rpartition(b")")[2].split()[1])
    for pid in parents:
        if _is_ours(pid, parents):
            with suppress(OSError, IndexError), open(f"/proc/{pid}/statm", encoding="ascii") as found:
                total += int(found.read().split()[1]) * page
    return total


def _is_ours(pid: int, parents: "dict[int, int]") -> bool:
    me, above = os.getpid(), parents.get(pid)
    for _ in range(len(parents)):  # numbers change while we look: no circle holds us up
        if above is None or above == me:
            break
        above = parents.get(above)
    return above == me


def _kernel_kills() -> int:
    """How often the kernel has killed for want of memory."""
    for path, word in (("/sys/fs/cgroup/memory.events", "oom_kill"), ("/proc/vmstat", "oom_kill")):
        try:
            with open(path, encoding="ascii") as found:
                return sum(int(line.split()[1]) for line in found if line.split()[0] == word)
        except (OSError, ValueError, IndexError):
            continue
    return 0


def _control(option: int, value: int) -> None:
    with suppress(OSError, AttributeError):  # not Linux
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _leave(folder: str, outcome: "dict[str, object]") -> None:
    """Whole or not at all; the file's room is there already."""
    _write(f"{folder}/exit.new", json.dumps(outcome).encode().ljust(_ROOM))
    os.rename(f"{folder}/exit.new", f"{folder}/exit.json")


def _write(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    os.write(descriptor, content)
    os.fsync(descriptor)
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
