"""Drives runs: one thread waits for processes to end, for time to pass and to be woken; a few carry out the steps.

A step that fails for want of a database, a disk or memory is taken again a moment later; nothing it needs is in memory.
"""

import heapq
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from boathouse.jobs.attempt import Attempt, marked
from boathouse.jobs.executors import BEAT_SECONDS, Executors
from boathouse.jobs.process_ends import ProcessEnds
from boathouse.jobs.progress import Progress
from boathouse.jobs.queue import Queue
from boathouse.jobs.requests import Hooks
from boathouse.jobs.runs import Runs, TaskRun

_log = logging.getLogger(__name__)
_STEPS_AT_ONCE = 4
_AFTER_FAILURE = 2.0


class Engine:
    """The runs of one executor. `look_again` and the like may be called from any thread."""

    def __init__(self, runs: Runs, queue: Queue, executors: Executors, hooks: Hooks, slots: int) -> None:
        self._runs = runs
        self._queue = queue
        self._executors = executors
        self._slots = slots
        self.progress = Progress(runs, executors, hooks, self)
        self._ends = ProcessEnds()
        self._lock = threading.Lock()
        self._wanted: set[str] = set()
        self._stepping: set[str] = set()
        self._launching: set[str] = set()
        self._claimed: set[str] = set()
        """Runs that were begun here and have no process yet: each is about to take a slot."""
        self._short_of_slots: set[str] = set()
        self._timers: list[tuple[float, str]] = []
        self._pool: ThreadPoolExecutor | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._claim = True

    def start(self) -> None:
        """Begin, or do nothing where it has begun."""
        with self._lock:
            if self._thread is None and not self._stopping:
                self._executors.enter()
                self._pool = ThreadPoolExecutor(_STEPS_AT_ONCE, thread_name_prefix="run-step")
                self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Leave all as it is: processes go on, and whoever starts next on these runs finds them."""
        with self._lock:
            self._stopping = True
        self._ends.wake()
        if self._thread:
            self._thread.join(10)
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        self._ends.close()

    def take_up(self, owners: list[str]) -> list[str]:
        """Go on with runs that other executors, or this one before it died, left behind; their ids."""
        found = self._executors.take_up(owners)
        for run_id in found:
            run = self._runs.get(run_id)
            if run.state == "RUNNING" and all(t.state != "RUNNING" for t in run.tasks):
                self._launching.add(run_id)
            self.look_again(run_id)
        return found

    def end_strays(self) -> int:
        """Kill processes of this executor's attempts that no run of its own waits for; how many attempts there were."""
        folder, _ = self._executors.place(self._executors.own)
        ours = {f"{folder / run_id}/" for run_id in self._queue.open_of(self._executors.own)}
        strays = {path for _, path in marked(f"{folder}/") if not any(path.startswith(own) for own in ours)}
        for path in strays:
            Attempt(folder / path).sweep()
        return len(strays)

    def claim(self) -> None:
        """See whether queued runs may begin."""
        self._claim = True
        self._ends.wake()

    # as a step sees it

    def slot(self, run_id: str) -> bool:
        """Whether another task may run now."""
        if len(self._ends) < self._slots:
            return True
        self._short_of_slots.add(run_id)
        return False

    def watch(self, run_id: str, task: TaskRun, pid: int) -> None:
        """Look at the run again when a process ends."""
        self._ends.add((run_id, task.task_key, task.tries), pid)

    def watches(self, run_id: str, task: TaskRun) -> bool:
        """Whether the task's process is watched."""
        return (run_id, task.task_key, task.tries) in self._ends

    def look_again(self, run_id: str, after: float = 0) -> None:
        """Look at a run again in so many seconds."""
        with self._lock:
            if after > 0:
                heapq.heappush(self._timers, (time.monotonic() + after, run_id))
            else:
                self._wanted.add(run_id)
        self._ends.wake()

    # the loop

    def _run(self) -> None:
        beat = time.monotonic()
        while not self._stopping:
            try:
                if time.monotonic() >= beat:
                    beat = time.monotonic() + BEAT_SECONDS
                    self._beat()
                if self._claim:
                    self._claim = False
                    self._begin_queued()
            except Exception:
                _log.exception("runs wait: the database did not answer as it should; the next try comes in a moment")
            self._take_steps()
            for name in self._ends.wait(max(0.0, min(beat, self._next_timer()) - time.monotonic())):
                self._after_end(str(name[0]))  # type: ignore[index]

    def _after_end(self, run_id: str) -> None:
        with self._lock:
            self._wanted |= {run_id} | self._short_of_slots
            self._short_of_slots.clear()

    def _next_timer(self) -> float:
        with self._lock:
            while self._timers and self._timers[0][0] <= time.monotonic():
                self._wanted.add(heapq.heappop(self._timers)[1])
            ready = bool(self._wanted - self._stepping)
            return 0.0 if ready else self._timers[0][0] if self._timers else float("inf")

    def _beat(self) -> None:
        self._executors.beat()
        if dead := self._executors.dead():
            for run_id in self.take_up(dead):
                _log.warning("run %s goes on here: the server that ran it is gone", run_id)
        for run_id in self._queue.to_end(self._executors.own):
            self.look_again(run_id)
        self._claim = True

    def _begin_queued(self) -> None:
        free = self._slots - len(self._ends) - len(self._claimed)
        for run_id in self._queue.claim(self._executors.own, free) if free > 0 else ():
            with self._lock:
                self._launching.add(run_id)
                self._claimed.add(run_id)
                self._wanted.add(run_id)

    def _take_steps(self) -> None:
        with self._lock:
            ready = self._wanted - self._stepping
            self._wanted -= ready
            self._stepping |= ready
        for run_id in ready:
            assert self._pool is not None
            self._pool.submit(self._step, run_id)

    def _step(self, run_id: str) -> None:
        try:
            if run_id in self._launching:
                self.progress.launch(run_id)
                self._launching.discard(run_id)
            if self.progress.step(run_id):
                self.claim()
        except Exception:
            _log.exception("run %s could not be taken a step further; the next try comes in a moment", run_id)
            self.look_again(run_id, _AFTER_FAILURE)
        finally:
            with self._lock:
                self._stepping.discard(run_id)
                self._claimed.discard(run_id)
            self._ends.wake()
