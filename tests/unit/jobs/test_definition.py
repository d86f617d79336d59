"""What a job is, and how its texts are completed."""

from typing import Any

import pytest

from boathouse.errors import InvalidInput
from boathouse.jobs import JobDefinition, TaskDefinition
from boathouse.jobs.conditions import holds
from boathouse.jobs.definition import completed

FILE = {"python_file": "a.py"}
JOB = JobDefinition.from_dict(
    "train",
    {
        "parameters": [{"name": "days", "default": 14}, {"name": "note"}],
        "tasks": [
            {"task_key": "a", "spark_python_task": FILE},
            {
                "task_key": "b",
                "spark_python_task": FILE,
                "depends_on": [{"task_key": "a", "outcome": "true"}],
            },
        ],
    },
)


def test_a_task_says_what_it_runs_after_what_and_how_often() -> None:
    body = {"task_key": "t", "notebook_task": {"notebook_path": "n"}, "max_retries": 2, "timeout_seconds": 5,
            "depends_on": [{"task_key": "a"}], "run_if": "ALL_DONE"}  # fmt: skip
    task = TaskDefinition.from_dict(body)
    assert (task.kind, task.max_retries, task.timeout_seconds, task.run_if) == (
        "notebook_task",
        2,
        5,
        "ALL_DONE",
    )
    assert task.depends_on == (("a", None),)


@pytest.mark.parametrize(
    "kinds", [{}, {"spark_python_task": FILE, "sql_task": {"query": "SELECT 1"}}, {"dbt_task": {}}]
)
def test_a_task_runs_exactly_one_thing(kinds: dict[str, Any]) -> None:
    with pytest.raises(
        InvalidInput, match=r"task 't' needs exactly one of spark_python_task, .*for_each_task$"
    ):
        TaskDefinition.from_dict({"task_key": "t", **kinds})


def test_parameters_are_texts_and_override_defaults() -> None:
    assert JOB.with_parameters({"days": 7, "as_of": "2013-07-01"}) == {  # type: ignore[dict-item]
        "days": "7", "note": "", "as_of": "2013-07-01",
    }  # fmt: skip
    with pytest.raises(InvalidInput, match="no parameter 'dayz'; it has days, note"):
        JOB.with_parameters({"dayz": "7"})


def test_one_task_alone_waits_for_nothing() -> None:
    (alone,) = JOB.only("b")
    assert (alone.key, alone.depends_on) == ("b", ())
    with pytest.raises(InvalidInput, match="no task 'c'; its tasks are a, b"):
        JOB.only("c")


def test_references_are_replaced_at_any_depth() -> None:
    facts = {"job.as_of": "2013-07-01", "tasks.a.values.n": "5"}
    body = {"parameters": ["--at={{job.as_of}}", "{{ tasks.a.values.n }}"], "left": 3, "no": None}
    assert completed(body, facts) == {"parameters": ["--at=2013-07-01", "5"], "left": 3, "no": None}
    with pytest.raises(
        InvalidInput, match=r"nothing is known as \{\{job\.asof\}\} in this run; there are job\.as_of"
    ):
        completed("{{job.asof}}", facts)


def test_a_value_with_braces_is_not_completed_again() -> None:
    assert completed("{{a}}", {"a": "{{b}}", "b": "secret"}) == "{{b}}"


@pytest.mark.parametrize(
    ("left", "op", "right", "answer"),
    [
        ("a", "EQUAL_TO", "a", True),
        ("1.0", "EQUAL_TO", "1", False),
        ("a", "NOT_EQUAL", "b", True),
        ("10", "GREATER_THAN", "9", True),
        ("1e3", "LESS_THAN_OR_EQUAL", 1000, True),
        ("2", "LESS_THAN", "10", True),
        ("2", "GREATER_THAN_OR_EQUAL", "2", True),
    ],
)
def test_equality_compares_texts_and_order_compares_numbers(
    left: Any, op: str, right: Any, answer: bool
) -> None:
    assert holds({"left": left, "op": op, "right": right}) is answer


@pytest.mark.parametrize(
    ("op", "reason"), [("LIKE", "cannot compare by 'LIKE'"), ("LESS_THAN", "compares numbers, not 'a'")]
)
def test_what_cannot_be_compared_is_refused(op: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        holds({"left": "a", "op": op, "right": "b"})


def test_a_reference_may_hold_its_name_in_brackets() -> None:
    assert completed("{{job.parameters.[x]}}", {"job.parameters.x": "1"}) == "1"
