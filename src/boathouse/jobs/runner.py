"""Runs a job's tasks in the order of its DAG, each in a process of its own."""

import logging
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boathouse import clock
from boathouse.errors import BoathouseError, Conflict, InvalidInput
from boathouse.jobs import task_process
from boathouse.jobs.conditions import holds
from boathouse.jobs.definition import JobDefinition, TaskDefinition, completed
from boathouse.jobs.runs import DONE, Run, Runs
from boathouse.jobs.task_process import TaskIdentity

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.05
_PARALLEL_TASKS = 4
_CANCELED = ("CANCELED", "canceled")
_GOOD = ("SUCCESS", "EXCLUDED", "true", "false")


@dataclass(frozen=True)
class RunRequest:
    """What shall run: a job's definition out of a deployment, and who is behind it."""

    environment: str
    project: str
    job: str
    definition: Mapping[str, Any]
    source: str
    principal: str
    submitted_by: str
    commit: str | None = None
    dirty: bool = False
    scratch: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    trigger: str = "manual"
    only_task: str | None = None


IdentityMaker = Callable[[Run, str], TaskIdentity]
"""Makes a task's identity: a run-scoped token that dies with the run."""


class Runner:
    """Starts, watches, cancels and repairs runs."""

    def __init__(self, runs: Runs, folder: Path, identify: IdentityMaker, ended: Callable[[Run], None],
                 launch_check: Callable[[Run], None],
                 submit_job: Callable[[Run, str, Mapping[str, str]], str]) -> None:  # fmt: skip
        self._runs = runs
        self._folder = folder
        self._identify = identify
        self._ended = ended
        self._launch_check = launch_check
        self._submit_job = submit_job
        self._threads: dict[str, threading.Thread] = {}
        self._ending: dict[str, tuple[str, str]] = {}
        """Runs that are being ended -> the (state, reason) they end in."""
        self._slots = threading.Condition()

    def submit(self, request: RunRequest) -> str:
        """Queue a run and start it as soon as its job's limit of concurrent runs allows; its id."""
        job = JobDefinition.from_dict(request.job, request.definition)
        tasks = job.only(request.only_task)
        parameters = job.with_parameters(request.parameters)
        parameters.setdefault("as_of", clock.now().isoformat(timespec="seconds"))
        run_id = uuid.uuid4().hex[:16]
        self._runs.add(
            {
                "id": run_id, "environment": request.environment, "project": request.project, "job": request.job,
                "scratch": request.scratch, "commit_id": request.commit, "dirty": request.dirty,
                "source": request.source, "definition": dict(request.definition), "parameters": parameters,
                "trigger": request.trigger, "principal": request.principal, "submitted_by": request.submitted_by,
            },
            [t.key for t in tasks],
        )  # fmt: skip
        self._launch(run_id, [t.key for t in tasks])
        return run_id

    def repair(self, run_id: str) -> None:
        """Run again the tasks of an ended run that did not succeed. Raises Conflict while it runs."""
        run = self._runs.get(run_id)
        if not run.done:
            raise Conflict(f"run {run_id} is {run.state}: wait for its end, or cancel it")
        again = [t.task_key for t in run.tasks if t.state not in ("SUCCESS", "EXCLUDED")]
        if not again:
            raise Conflict(f"no task of run {run_id} failed; there is nothing to repair")
        for key in again:
            self._runs.update_task(run_id, key, state="QUEUED", reason=None, exit_code=None)
        self._runs.update(run_id, state="QUEUED", reason=None, ended_at=None)
        self._launch(run_id, again)

    def cancel(self, run_id: str) -> None:
        """Kill a run's processes and let no further task start."""
        if not self._runs.get(run_id).done:
            self._ending.setdefault(run_id, _CANCELED)

    def wait(self, run_id: str, seconds: float | None = None) -> Run:
        """Block until a run ends."""
        limit = time.monotonic() + seconds if seconds is not None else None
        while not (run := self._runs.get(run_id)).done:
            if limit and time.monotonic() > limit:
                break
            time.sleep(_POLL_SECONDS)
        return run

    def recover(self) -> list[str]:
        """At start: end what an earlier process left running and report its runs lost, never silently rerun."""
        lost = []
        for run_id, tasks in self._runs.unfinished():
            for key, pid, started in tasks:
                if pid is not None and started is not None:
                    task_process.end(pid, started)
                self._runs.update_task(run_id, key, state="LOST", reason="the server stopped while it ran", ended_at=clock.now())
            self._runs.update(
                run_id, state="LOST", ended_at=clock.now(),
                reason=f"the server stopped before it ended; `boathouse runs repair {run_id}` runs the rest",
            )  # fmt: skip
            self._ended(self._runs.get(run_id))
            lost.append(run_id)
        return lost

    def stop(self) -> None:
        """End every run that is still going."""
        going = dict(self._threads)
        for run_id in going:
            self._ending.setdefault(run_id, _CANCELED)
        for thread in going.values():
            thread.join(10)

    def log(self, run_id: str, task_key: str) -> Path:
        """Where a task's words are kept."""
        return self._folder / run_id / f"{task_key}.log"

    def _launch(self, run_id: str, keys: list[str]) -> None:
        thread = threading.Thread(target=self._run, args=(run_id, keys), name=f"run-{run_id}", daemon=True)
        self._threads[run_id] = thread
        thread.start()

    def _run(self, run_id: str, keys: list[str]) -> None:
        run = self._runs.get(run_id)
        try:
            job = JobDefinition.from_dict(run.job, run.definition)
            self._await_slot(run, job.max_concurrent_runs)
            self._launch_check(run)
            chosen = [t for t in job.tasks if t.key in keys]
            with self._time_limit(run_id, job.timeout_seconds):
                state, reason = self._run_dag(run, chosen)
        except BoathouseError as error:
            state, reason = "FAILED", str(error)
        except Exception as error:
            _log.exception("run %s", run_id)
            state, reason = "FAILED", f"{type(error).__name__}: {error}"
        self._runs.update(run_id, state=state, reason=reason, ended_at=clock.now())
        self._ending.pop(run_id, None)
        with self._slots:
            self._slots.notify_all()
        self._ended(self._runs.get(run_id))
        self._threads.pop(run_id, None)

    def _await_slot(self, run: Run, allowed: int) -> None:
        with self._slots:
            while run.id not in self._ending and self._runs.running(run.environment, run.job, run.scratch) >= allowed:
                self._slots.wait(0.5)
            self._runs.update(run.id, state="RUNNING", started_at=clock.now())

    @contextmanager
    def _time_limit(self, run_id: str, seconds: int) -> Iterator[None]:
        timer = threading.Timer(seconds, self._ending.setdefault, (run_id, ("FAILED", f"timed out after {seconds} s")))
        if seconds:
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _run_dag(self, run: Run, tasks: list[TaskDefinition]) -> tuple[str, str | None]:
        waiting = {t.key: t for t in tasks}
        conditions = {t["task_key"] for t in run.definition["tasks"] if t.get("condition_task")}
        outcome = {t.task_key: str(t.results.get("outcome", t.state)) if t.task_key in conditions else t.state
                   for t in run.tasks if t.task_key not in waiting}  # fmt: skip
        going: dict[Future[str], str] = {}
        with ThreadPoolExecutor(_PARALLEL_TASKS) as pool:
            while waiting or going:
                for key, task in list(waiting.items()):
                    if all(d in outcome or (d not in waiting and d not in going.values()) for d, _ in task.depends_on):
                        del waiting[key]
                        going[pool.submit(self._run_task, run, task, dict(outcome))] = key
                if not going:
                    raise InvalidInput(f"tasks {', '.join(waiting)} wait for each other")
                for future in wait(going, return_when=FIRST_COMPLETED).done:
                    outcome[going.pop(future)] = future.result()
        if run.id in self._ending:
            return self._ending[run.id]
        failed = sorted(k for k, state in outcome.items() if state not in (*_GOOD, "UPSTREAM_FAILED"))
        return ("FAILED", f"task {', '.join(failed)} did not succeed") if failed else ("SUCCESS", None)

    def _run_task(self, run: Run, task: TaskDefinition, outcome: dict[str, str]) -> str:
        if verdict := _skipped(task, outcome):
            self._runs.update_task(run.id, task.key, state=verdict[0], reason=verdict[1], ended_at=clock.now())
            return verdict[0]
        for attempt in range(task.max_retries + 1):
            if run.id in self._ending:
                self._runs.update_task(run.id, task.key, state="CANCELED", reason=self._ending[run.id][1], ended_at=clock.now())
                return "CANCELED"
            self._runs.update_task(run.id, task.key, state="RUNNING", attempt=attempt, started_at=clock.now(), ended_at=None)
            try:
                state, reason, code = self._attempt(run, task)
            except BoathouseError as error:
                state, reason, code = "FAILED", str(error), None
            final = "CANCELED" if run.id in self._ending and state == "FAILED" else state
            self._runs.update_task(
                run.id, task.key, state="SUCCESS" if final in ("true", "false") else final,
                reason=reason, exit_code=code, ended_at=clock.now(),
            )  # fmt: skip
            if final != "FAILED" or attempt == task.max_retries:
                return final
            self._pause(run.id, task.min_retry_interval_millis / 1000)
        return "FAILED"

    def _pause(self, run_id: str, seconds: float) -> None:
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and run_id not in self._ending:
            time.sleep(_POLL_SECONDS)

    def _attempt(self, run: Run, task: TaskDefinition) -> tuple[str, str | None, int | None]:
        body = completed(task.body, self._facts(run))
        if task.kind == "condition_task":
            answer = "true" if holds(body) else "false"
            self._runs.add_result(run.id, task.key, "outcome", answer)
            return answer, f"{body['left']} {body['op']} {body['right']} is {answer}", None
        if task.kind == "run_job_task":
            job = body.get("job_name") or body["job_id"]
            child = self._follow(run.id, self._submit_job(run, job, body.get("job_parameters") or {}))
            return ("SUCCESS", None, None) if child.state == "SUCCESS" else ("FAILED", f"run {child.id}: {child.reason}", None)
        log = self.log(run.id, task.key)
        process = task_process.start(task.kind, body, self._identify(run, task.key), Path(run.source), log)
        self._runs.update_task(run.id, task.key, pid=process.pid, pid_started=task_process.process_started(process.pid))
        return self._watch(run.id, task, process)

    def _follow(self, run_id: str, child_id: str) -> Run:
        """Wait for the run that a run has started; where the one is ended, so is the other."""
        while not (child := self._runs.get(child_id)).done:
            if ending := self._ending.get(run_id):
                self._ending.setdefault(child_id, ("CANCELED", f"run {run_id} {ending[1]}"))
            time.sleep(_POLL_SECONDS)
        return child

    def _watch(self, run_id: str, task: TaskDefinition, process: "subprocess.Popen[bytes]") -> tuple[str, str | None, int]:
        limit = time.monotonic() + task.timeout_seconds if task.timeout_seconds else None
        reason = None
        while (code := process.poll()) is None:
            if run_id in self._ending or (limit and time.monotonic() > limit):
                reason = self._ending.get(run_id, ("", f"timed out after {task.timeout_seconds} s"))[1]
                task_process.end(process.pid)
                code = process.wait()
                break
            time.sleep(_POLL_SECONDS)
        task_process.end(process.pid)  # whatever the task left running in its group
        if code == 0 and reason is None:
            return "SUCCESS", None, 0
        return "FAILED", reason or task_process.describe_exit(code), code

    def _facts(self, run: Run) -> dict[str, str]:
        facts = {"job.run_id": run.id, "job.id": run.job, "job.name": run.job, "job.as_of": run.parameters["as_of"],
                 "job.environment": run.environment}  # fmt: skip
        facts |= {f"job.parameters.{k}": v for k, v in run.parameters.items()}
        for task in self._runs.get(run.id).tasks:
            facts |= {f"tasks.{task.task_key}.values.{k}": str(v) for k, v in task.results.items()}
            facts[f"tasks.{task.task_key}.result_state"] = task.state
        return facts


def _skipped(task: TaskDefinition, outcome: Mapping[str, str]) -> tuple[str, str] | None:
    """Whether a task does not run, by the outcomes of those it depends on: (state, reason)."""
    before = [(d, wanted, outcome.get(d, "SUCCESS")) for d, wanted in task.depends_on]
    if any(wanted and wanted.lower() != got for _, wanted, got in before if got in ("true", "false")):
        return "EXCLUDED", "the condition went the other way"
    if before and all(got == "EXCLUDED" for _, _, got in before):
        return "EXCLUDED", "all it depends on was left out"
    good = [got in _GOOD for _, _, got in before]
    runs = {
        "ALL_SUCCESS": all(good), "AT_LEAST_ONE_SUCCESS": any(good) or not good, "NONE_FAILED": all(good),
        "ALL_DONE": True, "AT_LEAST_ONE_FAILED": not all(good), "ALL_FAILED": not any(good),
    }  # fmt: skip
    if runs.get(task.run_if, False):
        return None
    failed = next((d for d, _, got in before if (got in DONE and got != "SUCCESS") or got == "UPSTREAM_FAILED"), "none")
    return "UPSTREAM_FAILED", f"{task.run_if} does not hold (failed before it: {failed})"
