"""A task of an ended run, as it can run again."""

from typing import Any

from boathouse.errors import NotFound
from boathouse.jobs.definition import TaskDefinition
from boathouse.jobs.facts import facts_of, input_facts
from boathouse.jobs.runs import Run

_KEPT = ("environment_key", "libraries", "environment_vars", "compute", "timeout_seconds")


def recorded_task(run: Run, task_key: str | None) -> dict[str, Any]:
    """The definition of a job that is one task of an ended run, alone, with what its texts were completed with then.

    The texts stay as the bundle wrote them: they are completed when the task starts, and secrets are in no definition.
    Raises NotFound.
    """
    row = next((t for t in run.tasks if t.task_key == task_key), None)
    if row is None:
        raise NotFound(f"run {run.id} has no task {task_key!r}; it has {', '.join(t.task_key for t in run.tasks)}")
    top = next(t for t in run.definition["tasks"] if t["task_key"] == (row.parent or row.task_key))
    declared = top["for_each_task"]["task"] if row.parent else top
    kind = TaskDefinition.from_dict(declared).kind
    task = {k: given for k in _KEPT if (given := _given(k, top, declared))}
    task |= {"task_key": row.task_key.replace(".", "-"), kind: declared[kind]}
    facts = facts_of(run) | (input_facts(row.input) if row.parent else {})
    same = {k: run.definition[k] for k in ("environments", "parameters", "computes") if run.definition.get(k)}
    return {**same, "tasks": [task], "facts": facts}


def _given(key: str, top: dict[str, Any], declared: dict[str, Any]) -> Any:
    """What a task says, or the for_each_task around it."""
    if key == "environment_vars":
        return {**(top.get(key) or {}), **(declared.get(key) or {})}
    return declared.get(key) or (top.get(key) if key == "compute" else None)
