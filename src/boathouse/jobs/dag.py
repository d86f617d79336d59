"""The order of a run's tasks: which may start now, which never will, and how a run ends. Pure: states in, steps out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from boathouse.jobs.definition import TaskDefinition

_GOOD = ("SUCCESS", "EXCLUDED", "true", "false")
_MOST_TOLD = 5
_BAD = ("FAILED", "LOST", "CANCELED", "UPSTREAM_FAILED")


@dataclass(frozen=True)
class Skip:
    """A task that does not run: the state it gets, and why."""

    key: str
    state: str
    reason: str


@dataclass(frozen=True)
class Steps:
    """What to do next: tasks to start, in the job's order, tasks to skip, and tasks that wait for each other."""

    ready: tuple[TaskDefinition, ...]
    skipped: tuple[Skip, ...]
    stuck: tuple[str, ...]


def next_steps(tasks: Sequence[TaskDefinition], outcomes: Mapping[str, str], waiting: Sequence[str]) -> Steps:
    """What follows from how far each task is.

    `outcomes` holds the tasks that have ended: a state, or the answer of a condition (`true`, `false`); `waiting` those
    that have not begun. A dependency that is neither and no task of this run counts as done.
    """
    outcomes, open_keys = dict(outcomes), list(waiting)
    begun = {t.key for t in tasks} - set(open_keys) - set(outcomes)
    ready: list[TaskDefinition] = []
    skipped: list[Skip] = []
    moved = True
    while moved:
        moved = False
        for task in tasks:
            if task.key not in open_keys or any(d in open_keys or d in begun for d, _ in task.depends_on):
                continue
            if verdict := _skipped(task, outcomes):
                skipped.append(Skip(task.key, *verdict))
                outcomes[task.key] = verdict[0]
                open_keys.remove(task.key)
                moved = True
            elif task not in ready:
                ready.append(task)
    stuck = tuple(open_keys) if open_keys and not ready and not begun else ()
    return Steps(tuple(ready), tuple(skipped), stuck)


def verdict(states: Mapping[str, str], reasons: Mapping[str, str | None]) -> tuple[str, str | None]:
    """How a run ends whose tasks ended so: (state, reason, with those of the first tasks that failed)."""
    failed = sorted(k for k, state in states.items() if state in _BAD and state != "UPSTREAM_FAILED")
    if not failed:
        return "SUCCESS", None
    lost = any(states[k] == "LOST" for k in failed)
    if len(failed) == 1:
        why = f": {reasons[failed[0]]}" if reasons.get(failed[0]) else ""
        return ("LOST" if lost else "FAILED"), f"task {failed[0]} {'was lost' if lost else 'did not succeed'}{why}"
    told = [f"{key}: {reasons.get(key) or states[key]}" for key in failed[:_MOST_TOLD]]
    more = [f"and {len(failed) - len(told)} more"] if len(failed) > len(told) else []
    return ("LOST" if lost else "FAILED"), f"{len(failed)} tasks did not succeed: {'; '.join([*told, *more])}"


def _skipped(task: TaskDefinition, outcomes: Mapping[str, str]) -> tuple[str, str] | None:
    """Whether a task does not run, by the outcomes of those it depends on: (state, reason)."""
    before = [(d, wanted, outcomes.get(d, "SUCCESS")) for d, wanted in task.depends_on]
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
    failed = next((d for d, _, got in before if got in _BAD), "none")
    return "UPSTREAM_FAILED", f"{task.run_if} does not hold (failed before it: {failed})"
