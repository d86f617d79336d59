"""Tells when processes end, children or not, without asking again and again where the kernel can tell."""

import contextlib
import os
import selectors
import threading
from collections.abc import Hashable, Iterator

_POLL_SECONDS = 0.2


class ProcessEnds:
    """Wait for the end of processes, or for `wake`. Any thread adds; one thread waits."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._watched: dict[Hashable, tuple[int, int | None]] = {}
        """Name -> (pid, its descriptor, or None where the kernel has none)."""

    def add(self, name: Hashable, pid: int) -> None:
        """Watch a process."""
        with self._lock:
            try:
                descriptor = os.pidfd_open(pid)
                self._selector.register(descriptor, selectors.EVENT_READ, name)
            except (AttributeError, OSError):  # no such call here, or the process is gone
                descriptor = None
            self._watched[name] = (pid, descriptor)
        self.wake()

    def __contains__(self, name: Hashable) -> bool:
        return name in self._watched

    def __len__(self) -> int:
        return len(self._watched)

    def wake(self) -> None:
        """Let whoever waits go on."""
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._wake_write, b"!")

    def wait(self, seconds: float) -> list[Hashable]:
        """Names of processes that ended, within so many seconds; they are watched no more."""
        polled = any(descriptor is None for _, descriptor in self._watched.values())
        found = self._selector.select(min(seconds, _POLL_SECONDS) if polled else seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        with self._lock:
            ended = [key.data for key, _ in found if key.data is not None]
            ended += [name for name, (pid, descriptor) in self._watched.items() if descriptor is None and _gone(pid)]
            return list(self._let_go(ended))

    def close(self) -> None:
        """Watch no more; the processes go on."""
        with self._lock:
            list(self._let_go(list(self._watched)))
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _let_go(self, names: list[Hashable]) -> Iterator[Hashable]:
        for name in names:
            pid, descriptor = self._watched.pop(name)
            if descriptor is not None:
                self._selector.unregister(descriptor)
                os.close(descriptor)
            _reap(pid)
            yield name


def _reap(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return False


def _gone(pid: int) -> bool:
    if _reap(pid):
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
