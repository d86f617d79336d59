"""Starts, watches, cancels and repairs runs. What it is told is in the database before it answers."""

import contextlib
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import NotFound
from boathouse.jobs.definition import JobDefinition
from boathouse.jobs.engine import Engine
from boathouse.jobs.executors import SESSION, Executors
from boathouse.jobs.kept_words import KeptWords
from boathouse.jobs.queue import Queue
from boathouse.jobs.requests import Hooks, RunRequest
from boathouse.jobs.runs import Run, Runs

_POLL_SECONDS = 0.02
_END_SECONDS = 15.0
_SLOTS = 8


class Runner:
    """The runs of one server."""

    def __init__(self, database: Database, executor: str, folder: Path, hooks: Hooks, slots: int = _SLOTS,
                 session: bool = False) -> None:  # fmt: skip
        self.runs = Runs(database)
        self.queue = Queue(database)
        self.words = KeptWords(database)
        self._server, self._session = executor, session
        self._executor = executor + SESSION if session else executor
        self._stopped = False
        self.executors = Executors(database, self._executor, folder)
        self._engine = Engine(self.runs, self.queue, self.executors, hooks, slots)

    def submit(self, request: RunRequest) -> str:
        """Queue a run, which starts as soon as its job's limit of concurrent runs allows; its id.

        Where the request names a reason to start that a run has already, that run's id.
        """
        job = JobDefinition.from_dict(request.job, request.definition)
        tasks = job.only(request.only_task)
        parameters = job.with_parameters(request.parameters)
        parameters.setdefault("as_of", clock.now().isoformat(timespec="seconds"))
        self._engine.start()
        row: dict[str, Any] = {
            "id": uuid.uuid4().hex[:16], "environment": request.environment, "project": request.project, "job": request.job,
            "scratch": request.scratch, "commit_id": request.commit, "dirty": request.dirty,
            "source": request.source, "definition": dict(request.definition), "parameters": parameters,
            "trigger": request.trigger, "principal": request.principal, "submitted_by": request.submitted_by,
            "owner": self._executor, "concurrency": job.max_concurrent_runs, "start_key": request.start_key,
            "parent_run": request.parent_run, "place": request.place,
        }  # fmt: skip
        with self.runs.transaction():
            going = 0 if job.queued else self.queue.open_runs(request.environment, request.project, request.job, request.scratch)
            if going >= job.max_concurrent_runs:
                row |= {"state": "CANCELED", "ended_at": clock.now(), "told": False}
                row["reason"] = f"skipped: {going} of at most {job.max_concurrent_runs} go on, and its queue is off"
            run_id = self.runs.add(row, [t.key for t in tasks])
        self._engine.claim()
        if "state" in row:
            self._engine.look_again(run_id)
        return run_id

    def repair(self, run_id: str) -> None:
        """Run again the tasks of an ended run that did not succeed. Raises Conflict while it runs."""
        self._engine.start()
        self.runs.again(run_id, self._executor)
        self._engine.claim()

    def cancel(self, run_id: str, reason: str = "canceled") -> None:
        """Kill a run's processes and let no further task start."""
        if self.runs.request_end(run_id, "CANCELED", reason):
            self._engine.start()
            self._engine.look_again(run_id)

    def wait(self, run_id: str, seconds: float | None = None) -> Run:
        """Block until a run ends."""
        limit = time.monotonic() + seconds if seconds is not None else None
        while not (run := self.runs.get(run_id)).done:
            if limit and time.monotonic() > limit:
                break
            time.sleep(_POLL_SECONDS)
        return run

    def recover(self) -> list[str]:
        """At start: end processes that no run waits for, and go on with the runs that were cut off; their ids.

        A session leaves a server's runs alone, and ends those of a session before it, which nobody waits for any more.
        """
        if self._session:
            for run_id in self.queue.open_of(self._executor):
                words = f"what ran it ended before it did; `boathouse runs repair {run_id}` runs the rest"
                self.runs.request_end(run_id, "LOST", words)
        self._engine.start()
        found = self._engine.take_up([self._executor] if self._session else [self._server, self._server + SESSION])
        if not self._session:
            self._engine.end_strays()
        return found

    def stop(self) -> None:
        """End the runs that go on here, and stop."""
        if self._stopped:
            return
        for run_id in self.queue.open_of(self._executor):
            self.cancel(run_id, "canceled: the server was stopped")
        limit = time.monotonic() + _END_SECONDS
        while self.queue.open_of(self._executor) and time.monotonic() < limit:
            time.sleep(_POLL_SECONDS)
        self.detach()

    def detach(self) -> int:
        """Stop, and leave tasks going by themselves: the next server on this home takes them up. How many runs go on."""
        self._stopped = True
        self._engine.stop()
        self.executors.leave()
        return len(self.queue.open_of(self._executor))

    def hide(self, run_id: str, texts: Sequence[str]) -> None:
        """From now on the logs of a run show none of these texts; asked before its code gets to know them."""
        with contextlib.suppress(NotFound):  # model servers have a run's identity too
            self._engine.progress.processes.hide(self.runs.get(run_id), texts)

    def elsewhere(self, run: Run, task_key: str) -> str | None:
        """Where the server answers that has what a task said; None where this one has. Raises Unavailable where none does."""
        executor = next((t.executor for t in run.tasks if t.task_key == task_key), None)
        return None if self.executors.sees(executor) else self.executors.reached(executor)

    def log(self, run: Run, task_key: str) -> Path:
        """Where a task's words are kept. Raises NotFound for a task that the run has not."""
        return self._kept(run, task_key, "log")

    def notebook(self, run: Run, task_key: str, form: str) -> Path:
        """Where a task's executed notebook is kept, as `ipynb` or `html`. Raises NotFound for a task that the run has not."""
        return self._kept(run, task_key, form)

    def _kept(self, run: Run, task_key: str, ending: str) -> Path:
        if all(t.task_key != task_key for t in run.tasks):
            raise NotFound(f"run {run.id} has no task {task_key!r}; it has {', '.join(t.task_key for t in run.tasks)}")
        return self._engine.progress.processes.kept(run, task_key, ending)
