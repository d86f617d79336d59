"""A task of an ended run does the same again, and what is kept for it holds no secret."""

from datetime import UTC, datetime
from typing import Any

import pytest

from boathouse.errors import NotFound
from boathouse.jobs import Run, TaskRun, recorded_task
from boathouse.jobs.definition import JobDefinition, completed
from boathouse.jobs.facts import facts_of

SECRET = "correct horse battery"
WORDS = ["{{job.parameters.word}}", "{{job.parameters.given}}", "{{secrets/mail/password}}", "{{tasks.first.values.n}}"]
FIT = {"task_key": "fit", "environment_vars": {"KEY": "{{secrets/mail/password}}"}, "compute": "small", "max_retries": 3,
       "depends_on": [{"task_key": "first"}], "spark_python_task": {"python_file": "t.py", "parameters": WORDS}}  # fmt: skip
EACH = {"task_key": "each", "compute": "small", "environment_vars": {"A": "1", "B": "1"},
        "for_each_task": {"inputs": [{"n": 7}], "task": {
            "task_key": "one", "environment_vars": {"B": "2"}, "sql_task": {"query": "{{input.n}} {{job.run_id}}"}}}}  # fmt: skip
JOB = {
    "tasks": [FIT, EACH], "computes": {"small": {"cpus": 1}}, "email_notifications": {"on_failure": ["a@example.org"]},
    "parameters": [{"name": "word", "default": "{{secrets/mail/password}}"}, {"name": "given", "default": "x"}],
}  # fmt: skip
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def task(key: str, **given: Any) -> TaskRun:
    return TaskRun("r1", key, 0, "SUCCESS", None, 0, NOON, NOON, **{"results": {}, **given})


def run(run_id: str, definition: dict[str, Any], *tasks: TaskRun) -> Run:
    parameters = {"word": "{{secrets/mail/password}}", "given": "{{secrets/mail/password}}", "as_of": NOON.isoformat()}
    return Run(run_id, "dev", "p", "j", "", None, False, "/", definition, parameters, "manual", "dev-jobs", "ada", "SUCCESS",
               None, NOON, NOON, NOON, tasks=tasks)  # fmt: skip


ENDED = run("r1", JOB, task("first", results={"n": 5}), task("fit"), task("each"), task("each.0", parent="each", input={"n": 7}))


def test_secrets_are_kept_as_references_and_read_where_they_were_read() -> None:
    kept = recorded_task(ENDED, "fit")
    assert SECRET not in str(kept)
    again = JobDefinition.from_dict("again", kept)
    facts = facts_of(run("r2", kept, task("fit")))
    trusted = ["job.parameters.word"]
    words = completed(again.tasks[0].body["parameters"], facts, lambda _name: SECRET, trusted)
    assert words == [SECRET, "{{secrets/mail/password}}", SECRET, "5"]
    assert again.tasks[0].variables == {"KEY": "{{secrets/mail/password}}"}


def test_it_runs_alone_once_within_the_same_limits_and_tells_nobody() -> None:
    kept = recorded_task(ENDED, "fit")
    [again] = JobDefinition.from_dict("again", kept).tasks
    assert (again.depends_on, again.max_retries, again.limits.cpus, again.told_of) == ((), 0, 1, False)
    assert "email_notifications" not in kept


def test_an_iteration_runs_alone_with_its_input_and_what_stands_around_it() -> None:
    kept = recorded_task(ENDED, "each.0")
    [again] = JobDefinition.from_dict("again", kept).tasks
    assert (again.key, again.limits.cpus, again.variables) == ("each-0", 1, {"A": "1", "B": "2"})
    assert completed(again.body, facts_of(run("r2", kept, task("each-0")))) == {"query": "7 r1"}


def test_a_task_that_the_run_has_not_is_named() -> None:
    with pytest.raises(NotFound, match="run r1 has no task 'other'; it has first, fit"):
        recorded_task(ENDED, "other")
