"""What the texts of a task are completed with: facts of its run, values of earlier tasks, an iteration's input. Pure."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from boathouse.errors import InvalidInput
from boathouse.jobs.runs import Run

_MOST_INPUTS = 5_000
FACTS_OF_A_RUN = (
    "job.run_id", "job.id", "job.name", "job.as_of", "job.environment", "job.trigger.type", "job.start_time.iso_date",
)  # fmt: skip
"""What every run knows besides its parameters and its tasks."""


def facts_of(run: Run) -> dict[str, str]:
    """What the texts of a run's tasks may name; of a run that does another again, what they named then."""
    if kept := run.definition.get("facts"):
        return dict(kept)
    started = (run.started_at or run.submitted_at).date().isoformat()
    cause = run.trigger.partition(" ")[0]
    facts = dict(
        zip(FACTS_OF_A_RUN, (run.id, run.job, run.job, run.parameters["as_of"], run.environment, cause, started), strict=True)
    )
    facts |= {f"job.parameters.{k}": v for k, v in run.parameters.items()}
    for task in run.tasks:
        facts |= {f"tasks.{task.task_key}.values.{k}": _text(v) for k, v in task.results.items()}
        facts[f"tasks.{task.task_key}.result_state"] = task.state
    return facts


def input_facts(value: Any) -> dict[str, str]:
    """What an iteration of a for_each_task may name besides."""
    facts = {"input": _text(value)}
    if isinstance(value, Mapping):
        facts |= {f"input.{k}": _text(v) for k, v in value.items()}
    return facts


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def inputs_of(given: Any) -> list[Any]:
    """A for_each_task's inputs as a list. Raises InvalidInput."""
    if isinstance(given, str):
        with contextlib.suppress(ValueError):
            given = json.loads(given)
    if not isinstance(given, list):
        raise InvalidInput(f"the inputs of a for_each_task are a list, or a text that is a JSON list; not {given!r}")
    if len(given) > _MOST_INPUTS:
        raise InvalidInput(f"a for_each_task has {_MOST_INPUTS:,} inputs at most, not {len(given):,}")
    return given
