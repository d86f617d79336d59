"""One step of one run: look at what goes on, take in what ended, start what may start. Rows and folders are its memory.

It can be cut off at any point and called again, by another process too: a task's row says RUNNING before its attempt is
begun, an attempt is begun once however often that is tried, and its folder says how it ended.
"""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from boathouse import clock
from boathouse.errors import BoathouseError, InvalidInput
from boathouse.jobs.attempt import OUT_OF_MEMORY, Outcome
from boathouse.jobs.conditions import holds
from boathouse.jobs.dag import next_steps, verdict
from boathouse.jobs.definition import JobDefinition, TaskDefinition
from boathouse.jobs.executors import Executors
from boathouse.jobs.facts import inputs_of
from boathouse.jobs.processes import Processes, Watch, name_of
from boathouse.jobs.requests import Hooks
from boathouse.jobs.runs import DONE, Run, Runs, TaskRun

_ENDED = (*DONE, "EXCLUDED", "UPSTREAM_FAILED")


class Progress:
    """Steps of runs, for one executor."""

    def __init__(self, runs: Runs, executors: Executors, hooks: Hooks, watch: Watch) -> None:
        self._runs = runs
        self._executors = executors
        self._hooks = hooks
        self._watch = watch
        self.processes = Processes(runs, executors, hooks, watch)
        self._due: dict[tuple[str, str, int], float] = {}
        """(run, task, try) -> when it is tried again, and (run, "", 0) -> when the run is over, on the monotonic clock."""

    def step(self, run_id: str) -> bool:
        """Bring a run as far as it can get now; whether it has ended."""
        run = self._runs.get(run_id)
        if run.done:
            self._tell(run)
        elif run.ending_state:
            self._wind_down(run)
        elif run.state == "RUNNING":
            try:
                self._go_on(run)
            except BoathouseError as error:
                self._runs.request_end(run.id, "FAILED", str(error))
                self._wind_down(self._runs.get(run_id))
        return self._runs.get(run_id).done

    def launch(self, run_id: str) -> None:
        """A run's turn has come: is it still allowed to run?"""
        run = self._runs.get(run_id)
        try:
            self._hooks.check_launch(run)
        except BoathouseError as error:
            self._finish(run, "FAILED", str(error))

    # what goes on

    def _go_on(self, run: Run) -> None:
        job = JobDefinition.from_dict(run.job, run.definition)
        if self._over(run, job):
            self._runs.request_end(run.id, "FAILED", f"timed out after {job.timeout_seconds} s")
            self._wind_down(self._runs.get(run.id))
            return
        self._warn(run, None, run.started_at, job.warn_after_seconds)
        definitions = {t.key: t for t in job.tasks}
        while self._round(run, definitions):
            run = self._runs.get(run.id)
            if run.ending_state or run.done:
                self._watch.look_again(run.id)
                return

    def _round(self, run: Run, definitions: Mapping[str, TaskDefinition]) -> bool:
        """Look, take in, start; whether something changed at once, so that more may follow."""
        changed = False
        for task in run.tasks:
            if task.state == "RUNNING":
                definition = _of(task, definitions)
                if outcome := self._outcome(run, task, definition):
                    self._settle(run, task, definition, outcome)
                    changed = True
                else:
                    self._warn(run, task, task.started_at, definition.warn_after_seconds)
        if changed:
            return True
        top = [t for t in run.tasks if t.parent is None]
        outcomes = {t.task_key: _answer(t, definitions) for t in top if t.state in _ENDED}
        waiting = [t.task_key for t in top if t.state == "QUEUED"]
        if not waiting and len(outcomes) == len(top):
            return self._finish(run, *verdict({t.task_key: t.state for t in top}, {t.task_key: t.reason for t in top}))
        steps = next_steps([d for d in definitions.values() if any(t.task_key == d.key for t in top)], outcomes, waiting)
        if steps.stuck:
            raise InvalidInput(f"tasks {', '.join(steps.stuck)} wait for each other")
        for skip in steps.skipped:
            self._runs.update_task(run.id, skip.key, state=skip.state, reason=skip.reason, ended_at=clock.now())
        rows = {t.task_key: t for t in top}
        started = [self._start(run, rows[d.key], d) for d in steps.ready]
        return bool(steps.skipped) or any(started)

    def _start(self, run: Run, task: TaskRun, definition: TaskDefinition) -> bool:
        """Begin a task, unless it has to wait; whether it ended at once."""
        if (wait := self._wait(run, task, definition)) > 0:
            self._watch.look_again(run.id, wait)
            return False
        if _is_process(definition) and not self._watch.slot(run.id):
            return False
        with self._runs.transaction():
            if not self._runs.begin_task(run.id, task.task_key, self._executors.own):
                return False
            self._tell_task(run, task, definition, "started", {})
        task = next(t for t in self._runs.get(run.id).tasks if t.task_key == task.task_key)
        outcome = self._outcome(run, task, definition)
        if outcome:
            self._settle(run, task, definition, outcome)
        return outcome is not None

    def _wait(self, run: Run, task: TaskRun, definition: TaskDefinition) -> float:
        """Seconds until a retry is due. The wall clock may be set meanwhile: it never makes the wait longer."""
        if task.not_before is None:
            return 0.0
        key = name_of(run, task)
        if key not in self._due:
            left = (clock.parse_instant(task.not_before) - clock.now()).total_seconds()
            self._due[key] = time.monotonic() + min(left, definition.wait_before(task.attempt))
        return self._due[key] - time.monotonic()

    def _over(self, run: Run, job: JobDefinition) -> bool:
        if not job.timeout_seconds or run.started_at is None:
            return False
        key = (run.id, "", 0)
        if key not in self._due:
            gone = (clock.now() - clock.parse_instant(run.started_at)).total_seconds()
            self._due[key] = time.monotonic() + job.timeout_seconds - min(max(gone, 0.0), job.timeout_seconds)
            self._watch.look_again(run.id, self._due[key] - time.monotonic())
        return time.monotonic() >= self._due[key]

    def _warn(self, run: Run, task: TaskRun | None, since: datetime | None, seconds: int) -> None:
        """Tell of a run, or a try of a task, that takes long, once here; whoever hears of it again knows it already."""
        if not seconds or since is None:
            return
        key = (run.id, f"warn {task.task_key}", task.tries or 0) if task else (run.id, "warn", 0)
        if key not in self._due:
            gone = (clock.now() - clock.parse_instant(since)).total_seconds()
            self._due[key] = time.monotonic() + seconds - min(max(gone, 0.0), seconds)
            self._watch.look_again(run.id, self._due[key] - time.monotonic())
        if time.monotonic() >= self._due[key]:
            self._due[key] = float("inf")
            self._hooks.slow(run, task, seconds)

    # one task

    def _outcome(self, run: Run, task: TaskRun, definition: TaskDefinition) -> Outcome | None:
        """How a task that has begun ended; None while it goes on. What was begun and left no trace is begun now."""
        try:
            if definition.kind == "for_each_task":
                return self._iterate(run, task, definition)
            if definition.kind == "condition_task":
                return self._compare(run, task, definition)
            if definition.kind == "run_job_task":
                return self._follow(run, task, definition)
            return self.processes.outcome(run, task, definition)
        except BoathouseError as error:
            return Outcome("FAILED", str(error), None)

    def _compare(self, run: Run, task: TaskRun, definition: TaskDefinition) -> Outcome:
        body = self.processes.completed(run, task, definition.body)
        answer = "true" if holds(body) else "false"
        self._runs.add_result(run.id, task.task_key, "outcome", answer)
        return Outcome("SUCCESS", f"{body['left']} {body['op']} {body['right']} is {answer}", None)

    def _follow(self, run: Run, task: TaskRun, definition: TaskDefinition) -> Outcome | None:
        key = _child_key(run, task)
        child_id = self._runs.started_as(key)
        if child_id is None:
            body = self.processes.completed(run, task, definition.body)
            job = body.get("job_name") or body["job_id"]
            child_id = self._hooks.submit_child(run, job, body.get("job_parameters") or {}, key)
        child = self._runs.get(child_id)
        if not child.done:
            return None
        failed = Outcome("FAILED", f"run {child.id}: {child.reason}", None)
        return Outcome("SUCCESS", f"run {child.id}", None) if child.state == "SUCCESS" else failed

    def _iterate(self, run: Run, task: TaskRun, definition: TaskDefinition) -> Outcome | None:
        own = [t for t in run.tasks if t.parent == task.task_key]
        if not own:
            inputs = inputs_of(self.processes.completed(run, task, {"inputs": definition.body["inputs"]})["inputs"])
            self._runs.add_tasks(run.id, task.task_key, {f"{task.task_key}.{i}": value for i, value in enumerate(inputs)})
            own = [t for t in self._runs.get(run.id).tasks if t.parent == task.task_key]
        own.sort(key=lambda t: int(t.task_key.rpartition(".")[2]))
        inner, allowed = definition.inner, int(definition.body.get("concurrency") or 1)
        going = sum(t.state == "RUNNING" for t in own)
        ended_at_once = False
        for iteration in [t for t in own if t.state == "QUEUED"][: max(0, allowed - going)]:
            ended_at_once |= self._start(run, iteration, inner)
        if ended_at_once:
            self._watch.look_again(run.id)
        if any(t.state in ("QUEUED", "RUNNING") for t in own):
            return None
        failed = [t.task_key for t in own if t.state not in ("SUCCESS", "EXCLUDED")]
        if not failed:
            return Outcome("SUCCESS", f"{len(own)} iterations", None)
        return Outcome("FAILED", f"{len(failed)} of {len(own)} iterations did not succeed, first {failed[0]}", None)

    def _settle(self, run: Run, task: TaskRun, definition: TaskDefinition, outcome: Outcome) -> None:
        """Keep how an attempt ended; one that may be tried again is queued for it."""
        reason = f"timed out after {definition.timeout_seconds} s" if outcome.timed_out else outcome.reason
        if reason == OUT_OF_MEMORY and definition.limits.memory:
            reason += f": its processes used more than the {definition.limits.memory >> 20:,} MB of its compute"
        kept: dict[str, Any] = {"state": outcome.state, "reason": reason, "exit_code": outcome.exit_code, "ended_at": clock.now()}
        if outcome.state in ("FAILED", "LOST") and definition.retries(task.attempt, timed_out=outcome.timed_out):
            wait = definition.wait_before(task.attempt + 1)
            kept |= {"state": "QUEUED", "attempt": task.attempt + 1, "not_before": clock.now() + timedelta(seconds=wait)}
            self._due[name_of(run, task)] = time.monotonic() + wait
        if _is_process(definition):
            self.processes.keep(run, task)
        with self._runs.transaction():
            if kept["state"] == "QUEUED":
                for iteration in (t for t in run.tasks if t.parent == task.task_key and t.state not in ("SUCCESS", "EXCLUDED")):
                    self._runs.update_task(run.id, iteration.task_key, state="QUEUED", attempt=0, not_before=None)
            self._runs.update_task(run.id, task.task_key, **kept)
            ended = {"state": outcome.state, "reason": reason, "again": kept["state"] == "QUEUED"}
            self._tell_task(run, task, definition, "ended", ended)

    def _tell_task(self, run: Run, task: TaskRun, definition: TaskDefinition, what: str, data: Mapping[str, Any]) -> None:
        if definition.told_of:
            self._hooks.task_moved(run, what, {"task": task.task_key, "attempt": task.attempt, "again": False, **data})

    # the end of a run

    def _wind_down(self, run: Run) -> None:
        """End all that goes on, and then the run, as it was asked for."""
        assert run.ending_state is not None
        definitions = {t.key: t for t in JobDefinition.from_dict(run.job, run.definition).tasks}
        busy = False
        for task in run.tasks:
            if task.state not in ("QUEUED", "RUNNING"):
                continue
            kept: dict[str, Any] = {"state": "CANCELED", "reason": run.ending_reason, "ended_at": clock.now()}
            if task.state == "RUNNING":
                outcome = self._end_task(run, task, _of(task, definitions))
                busy |= outcome is None
                if outcome is None:
                    continue
                if outcome.state == "SUCCESS":
                    kept = {"state": "SUCCESS", "ended_at": clock.now()}
                kept["exit_code"] = outcome.exit_code
                if _is_process(_of(task, definitions)):
                    self.processes.keep(run, task)
            with self._runs.transaction():
                self._runs.update_task(run.id, task.task_key, **kept)
                ended = {"state": kept["state"], "reason": kept.get("reason")}
                self._tell_task(run, task, _of(task, definitions), "ended", ended)
        if not busy:
            self._finish(run, run.ending_state, run.ending_reason)

    def _end_task(self, run: Run, task: TaskRun, definition: TaskDefinition) -> Outcome | None:
        if definition.kind == "run_job_task":
            child_id = self._runs.started_as(_child_key(run, task))
            if child_id is None or (child := self._runs.get(child_id)).done:
                return Outcome("CANCELED", None, None)
            self._runs.request_end(child.id, "CANCELED", f"run {run.id} {run.ending_reason}")
            self._watch.look_again(child.id)
            return None
        if not _is_process(definition):
            return Outcome("CANCELED", None, None)
        return self.processes.end(run, task, definition)

    def _finish(self, run: Run, state: str, reason: str | None) -> bool:
        if self._runs.update(run.id, self._executors.own, state=state, reason=reason, ended_at=clock.now(), told=False):
            self._tell(self._runs.get(run.id))
        return False

    def _tell(self, run: Run) -> None:
        """Whoever asked is told of a run's end, again after a crash that came between."""
        if run.told is False and run.owner == self._executors.own:
            self._hooks.ended(run)
            self._runs.update(run.id, told=True)
        for name in [n for n in self._due if n[0] == run.id]:
            del self._due[name]
        self.processes.forget(run.id)
        if run.parent_run:
            self._watch.look_again(run.parent_run)

def _of(task: TaskRun, definitions: Mapping[str, TaskDefinition]) -> TaskDefinition:
    return definitions[task.parent].inner if task.parent is not None else definitions[task.task_key]


def _answer(task: TaskRun, definitions: Mapping[str, TaskDefinition]) -> str:
    """How a task ended, for those that depend on it: a condition by its answer."""
    if task.state == "SUCCESS" and definitions[task.task_key].kind == "condition_task":
        return str(task.results.get("outcome", task.state))
    return task.state


def _is_process(definition: TaskDefinition) -> bool:
    return definition.kind not in ("condition_task", "run_job_task", "for_each_task")


def _child_key(run: Run, task: TaskRun) -> str:
    return f"task {run.id}/{task.task_key}/{task.tries}"
