"""What the texts of tasks name of a run: `{{job.parameters.x}}`, `{{tasks.a.values.n}}`, `{{input}}` and their like."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from boathouse.jobs import FACTS_OF_A_RUN, REFERENCE, fact_named
from boathouse.project.job import KINDS, Job, Task
from boathouse.project.located import Step

_OF_A_TASK = re.compile(r"tasks\.([^.]+)\.(?:values\..+|result_state)")

Loose = tuple[tuple[Step, ...], str]


def unknown_references(job: Job) -> Iterator[Loose]:
    """(path in the job, sentence) of each reference that no run of the job can fill in."""
    before = _before(job)
    known = [*FACTS_OF_A_RUN, "job.parameters.as_of", *(f"job.parameters.{p.name}" for p in job.parameters)]
    for position, task in enumerate(job.tasks):
        for path, text in _texts(task):
            for name in map(fact_named, REFERENCE.findall(text)):
                if sentence := _wrong(name, task, known, before):
                    yield ("tasks", position, *path), f"{{{{{name}}}}} {sentence}"


def _wrong(name: str, task: Task, known: list[str], before: Mapping[str, set[str]]) -> str:
    """What is wrong with a reference, nothing where a run knows it."""
    if name in known or name.startswith("secrets/") or (task.for_each_task and name.partition(".")[0] == "input"):
        return ""
    if (of_task := _OF_A_TASK.fullmatch(name)) and (key := of_task[1]) in before:
        return "" if key in before[task.task_key] else f"needs '{key}' to have run: put it into depends_on of '{task.task_key}'"
    if of_task:
        return f"names no task of the job: its tasks are {', '.join(before)}"
    near = get_close_matches(name, known, 1)
    return "is not known in a run; " + (f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}")


def _before(job: Job) -> dict[str, set[str]]:
    """Each task with all that have ended when it starts."""
    direct = {task.task_key: {d.task_key for d in task.depends_on} for task in job.tasks}
    found = {key: set(keys) for key, keys in direct.items()}
    for _ in direct:
        for keys in found.values():
            keys |= {further for key in keys for further in direct.get(key, ())}
    return found


def _texts(task: Task) -> Iterator[tuple[tuple[Step, ...], str]]:
    for part in (*KINDS, "environment_vars"):
        value = getattr(task, part)
        yield from _inside(value if part == "environment_vars" or value is None else value.model_dump(), (part,))


def _inside(value: Any, path: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from _inside(child, (*path, key))
    elif isinstance(value, list | tuple):
        for position, child in enumerate(value):
            yield from _inside(child, (*path, position))
