"""The order of a run's tasks, who runs when, and what is left after a crash. Conditions need no process."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from boathouse.database import Database
from boathouse.errors import BoathouseError, Conflict, InvalidInput, NotFound, NotReleased
from boathouse.jobs import Hooks, Run, Runner, RunRequest, TaskDefinition, TaskIdentity

Tasks = list[dict[str, Any]]


def condition(
    key: str, *after: str | tuple[str, str], left: str = "1", run_if: str = "ALL_SUCCESS"
) -> dict[str, Any]:
    """A task that answers whether `left` is 1; an order between texts fails."""
    pairs = [(d, None) if isinstance(d, str) else d for d in after]
    body = {"left": left, "op": "EQUAL_TO" if left in "01" else "LESS_THAN", "right": "1"}
    return {"task_key": key, "condition_task": body, "run_if": run_if,
            "depends_on": [{"task_key": d, "outcome": o} for d, o in pairs]}  # fmt: skip


class Desk:
    """A runner whose runs need no server."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.ended: list[str] = []
        self.refuse: BoathouseError | None = None
        hooks = Hooks(self._identify, self._check, self._submit, lambda run: self.ended.append(run.id))
        self.runner = Runner(database, "here", folder / "runs", hooks)
        self.runs = self.runner.runs
        self.folder = folder
        self.children: dict[str, Tasks] = {}

    def submit(self, tasks: Tasks, **options: Any) -> str:
        names = ("max_concurrent_runs", "timeout_seconds", "parameters", "queue")
        definition = {"tasks": tasks, **{k: options.pop(k) for k in names if k in options}}
        return self.runner.submit(
            RunRequest(
                environment="dev", project="p", job=options.pop("job", "j"), definition=definition,
                source=str(self.folder), principal="dev-jobs", submitted_by="ada", **options,
            )
        )  # fmt: skip

    def outcome(self, run_id: str) -> tuple[str, dict[str, str]]:
        run = self.runner.wait(run_id, 20)
        return run.state, {task.task_key: task.state for task in run.tasks}

    def _identify(self, run: Run, _task: str) -> TaskIdentity:
        return TaskIdentity("http://127.0.0.1:9", "token", run.environment, {})

    def _check(self, _run: Run) -> None:
        if self.refuse:
            raise self.refuse

    def _submit(self, parent: Run, job: str, _parameters: Mapping[str, str], start_key: str) -> str:
        if job not in self.children:
            raise NotFound(f"no job {job}")
        return self.submit(self.children[job], job=job, start_key=start_key, parent_run=parent.id)


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database, tmp_path)
    yield made
    made.runner.stop()


def test_a_run_succeeds_when_all_tasks_do(desk: Desk) -> None:
    run_id = desk.submit([condition("b", "a"), condition("a"), condition("c", "a", "b")])
    assert desk.outcome(run_id) == ("SUCCESS", dict.fromkeys("abc", "SUCCESS"))
    run = desk.runs.get(run_id)
    assert run.seconds is not None
    assert run.parameters.keys() == {"as_of"}
    assert [t.task_key for t in run.tasks] == ["a", "b", "c"]


def test_a_condition_chooses_the_branch_and_the_other_is_left_out(desk: Desk) -> None:
    tasks = [condition("if", left="0"), condition("yes", ("if", "true")), condition("no", ("if", "false")),
             condition("after_yes", "yes"), condition("both", "yes", "no")]  # fmt: skip
    state, tasks_now = desk.outcome(desk.submit(tasks))
    assert state == "SUCCESS"
    assert tasks_now == {
        "if": "SUCCESS",
        "yes": "EXCLUDED",
        "no": "SUCCESS",
        "after_yes": "EXCLUDED",
        "both": "SUCCESS",
    }


@pytest.mark.parametrize(
    ("run_if", "state"),
    [("ALL_SUCCESS", "UPSTREAM_FAILED"), ("ALL_DONE", "SUCCESS"), ("AT_LEAST_ONE_SUCCESS", "SUCCESS"),
     ("AT_LEAST_ONE_FAILED", "SUCCESS"), ("ALL_FAILED", "UPSTREAM_FAILED"), ("NONE_FAILED", "UPSTREAM_FAILED")],
)  # fmt: skip
def test_a_failure_before_it_decides_whether_a_task_runs(desk: Desk, run_if: str, state: str) -> None:
    tasks = [condition("good"), condition("bad", left="x"), condition("last", "good", "bad", run_if=run_if)]
    outcome, tasks_now = desk.outcome(desk.submit(tasks))
    assert (outcome, tasks_now) == ("FAILED", {"good": "SUCCESS", "bad": "FAILED", "last": state})


def test_a_failed_run_names_the_task_and_the_task_its_reason(desk: Desk) -> None:
    run = desk.runner.wait(desk.submit([condition("bad", left="x")]))
    assert run.tasks[0].reason == "LESS_THAN compares numbers, not 'x' and '1'"
    assert run.reason == f"task bad did not succeed: {run.tasks[0].reason}"


def test_tasks_in_a_circle_fail_the_run(desk: Desk) -> None:
    run = desk.runner.wait(desk.submit([condition("a", "b"), condition("b", "a")]), 20)
    assert (run.state, run.reason) == ("FAILED", "tasks a, b wait for each other")


def test_later_tasks_read_earlier_values_and_states(desk: Desk) -> None:
    right = {"left": "{{tasks.a.values.outcome}}/{{tasks.a.result_state}}/{{job.parameters.n}}",
             "op": "EQUAL_TO", "right": "true/SUCCESS/5"}  # fmt: skip
    tasks = [condition("a"), {"task_key": "b", "condition_task": right, "depends_on": [{"task_key": "a"}]}]
    run_id = desk.submit(tasks, parameters=[{"name": "n", "default": "5"}])
    desk.runner.wait(run_id, 20)
    assert desk.runs.get(run_id).tasks[1].results == {"outcome": "true"}


def test_a_repair_runs_what_failed_and_leaves_the_rest_as_it_was(desk: Desk) -> None:
    tasks = [condition("if", left="0"), condition("yes", ("if", "true")), condition("bad", "if", left="x"),
             condition("last", "bad")]  # fmt: skip
    run_id = desk.submit(tasks)
    desk.outcome(run_id)
    before = {t.task_key: t.ended_at for t in desk.runs.get(run_id).tasks}
    desk.runner.repair(run_id)
    state, tasks_now = desk.outcome(run_id)
    assert state == "FAILED"
    assert tasks_now == {"if": "SUCCESS", "yes": "EXCLUDED", "bad": "FAILED", "last": "UPSTREAM_FAILED"}
    after = {t.task_key: t.ended_at for t in desk.runs.get(run_id).tasks}
    assert {key for key in before if before[key] != after[key]} == {"bad", "last"}


def test_what_succeeded_or_runs_still_is_not_repaired(desk: Desk) -> None:
    run_id = desk.submit([condition("if", left="0"), condition("yes", ("if", "true"))])
    desk.outcome(run_id)
    with pytest.raises(Conflict, match="there is nothing to repair"):
        desk.runner.repair(run_id)
    desk.runs.update(run_id, state="RUNNING")
    with pytest.raises(Conflict, match="is RUNNING: wait for its end"):
        desk.runner.repair(run_id)
    desk.runs.update(run_id, state="SUCCESS")


def test_a_run_that_may_not_start_fails_with_the_reason(desk: Desk) -> None:
    desk.refuse = NotReleased("commit abc is not released")
    run = desk.runner.wait(desk.submit([condition("a")]), 20)
    assert (run.state, run.reason, run.tasks[0].state) == ("FAILED", "commit abc is not released", "QUEUED")


def test_a_job_can_run_another_and_shares_its_fate(desk: Desk) -> None:
    desk.children = {"good": [condition("a")], "bad": [condition("a", left="x")]}
    for job, state in (("good", "SUCCESS"), ("bad", "FAILED"), ("gone", "FAILED")):
        run_id = desk.submit([{"task_key": "call", "run_job_task": {"job_name": job}}])
        assert desk.outcome(run_id) == (state, {"call": state}), job


def test_runs_of_a_job_wait_for_their_turn(desk: Desk) -> None:
    running = desk.submit([condition("a")])
    desk.outcome(running)
    desk.runs.update(running, state="RUNNING")
    second = desk.submit([condition("a")])
    other = desk.submit([condition("a")], job="other")
    scratch = desk.submit([condition("a")], scratch="mr7")
    assert desk.outcome(other)[0] == desk.outcome(scratch)[0] == "SUCCESS"
    assert desk.runs.get(second).state == "QUEUED"
    desk.runs.update(running, state="SUCCESS")
    assert desk.outcome(second)[0] == "SUCCESS"


def test_a_canceled_run_starts_no_task(desk: Desk) -> None:
    running = desk.submit([condition("a")])
    desk.outcome(running)
    desk.runs.update(running, state="RUNNING")
    queued = desk.submit([condition("a"), condition("b", "a", run_if="ALL_DONE")])
    desk.runner.cancel(queued)
    assert desk.outcome(queued) == ("CANCELED", {"a": "CANCELED", "b": "CANCELED"})
    desk.runs.update(running, state="SUCCESS")


def test_canceling_a_run_cancels_the_run_it_waits_for(desk: Desk) -> None:
    desk.children = {"child": [condition("a")]}
    blocker = desk.submit([condition("a")], job="child")
    desk.outcome(blocker)
    desk.runs.update(blocker, state="RUNNING")
    parent = desk.submit([{"task_key": "call", "run_job_task": {"job_name": "child"}}])
    wait_for(lambda: any(r.state == "QUEUED" for r in desk.runs.newest(job="child")))
    desk.runner.cancel(parent)
    assert desk.outcome(parent)[0] == "CANCELED"
    wait_for(lambda: desk.runs.newest(job="child")[0].state == "CANCELED")
    desk.runs.update(blocker, state="SUCCESS")


def test_whoever_asks_is_told_when_a_run_ended(desk: Desk) -> None:
    run_id = desk.submit([condition("a")])
    desk.outcome(run_id)
    wait_for(lambda: desk.ended == [run_id])


def test_values_belong_to_tasks_that_are_there(desk: Desk) -> None:
    run_id = desk.submit([condition("a")])
    desk.outcome(run_id)
    desk.runs.add_result(run_id, "a", "rows", 5)
    assert desk.runs.get(run_id).tasks[0].results == {"outcome": "true", "rows": 5}
    with pytest.raises(NotFound, match=r"run .* has no task 'z'"):
        desk.runs.add_result(run_id, "z", "rows", 5)
    with pytest.raises(NotFound, match="no run has the id 'gone'"):
        desk.runs.get("gone")


def test_an_unknown_parameter_or_task_is_refused_before_anything_is_kept(desk: Desk) -> None:
    for wrong in ({"parameters": []}, {"only_task": "z"}):
        with pytest.raises(InvalidInput):
            desk.runner.submit(
                RunRequest("dev", "p", "j", {"tasks": [condition("a")]}, ".", "dev-jobs", "ada",
                           parameters={"x": "1"} if "parameters" in wrong else {}, only_task=wrong.get("only_task"))
            )  # fmt: skip
    assert list(desk.runs.newest()) == []


def test_a_task_runs_once_for_each_input(desk: Desk) -> None:
    inner = {"task_key": "one", "condition_task": {"left": "{{input}}", "op": "LESS_THAN", "right": "9"}}
    each = {"task_key": "each", "for_each_task": {"inputs": "[1, 2, 3]", "concurrency": 2, "task": inner}}
    tasks = [each, condition("z", "each")]
    state, tasks_now = desk.outcome(desk.submit(tasks))
    assert state == "SUCCESS"
    assert tasks_now == dict.fromkeys(("each", "each.0", "each.1", "each.2", "z"), "SUCCESS")


def test_iterations_that_fail_fail_the_task_and_are_repaired_alone(desk: Desk) -> None:
    inner = {"task_key": "one", "condition_task": {"left": "{{input.n}}", "op": "LESS_THAN", "right": "9"}}
    tasks = [{"task_key": "each", "for_each_task": {"inputs": [{"n": "1"}, {"n": "x"}], "task": inner}}]
    run_id = desk.submit(tasks)
    assert desk.outcome(run_id) == ("FAILED", {"each": "FAILED", "each.0": "SUCCESS", "each.1": "FAILED"})
    reasons = {t.task_key: t.reason for t in desk.runs.get(run_id).tasks}
    assert reasons["each"] == "1 of 2 iterations did not succeed, first each.1"
    desk.runner.repair(run_id)
    desk.runner.wait(run_id, 20)
    assert {t.task_key: t.tries for t in desk.runs.get(run_id).tasks} == {"each": 2, "each.0": 1, "each.1": 2}


@pytest.mark.parametrize(
    ("inputs", "reason"), [("7", "not 7"), ("nothing", "not 'nothing'"), ("{{tasks.z}}", "nothing is known")]
)
def test_inputs_that_are_no_list_fail_the_task(desk: Desk, inputs: str, reason: str) -> None:
    run_id = desk.submit([{"task_key": "each", "for_each_task": {"inputs": inputs, "task": condition("one")}}])
    assert desk.outcome(run_id)[0] == "FAILED"
    assert reason in str(desk.runs.get(run_id).tasks[0].reason)


def test_a_task_is_tried_as_often_as_it_says_with_longer_and_longer_pauses(desk: Desk) -> None:
    run_id = desk.submit([{**condition("bad", left="x"), "max_retries": 2, "min_retry_interval_millis": 50}])
    assert desk.outcome(run_id) == ("FAILED", {"bad": "FAILED"})
    (task,) = desk.runs.get(run_id).tasks
    assert (task.attempt, task.tries) == (2, 3)
    definition = TaskDefinition.from_dict({**condition("bad"), "min_retry_interval_millis": 1000})
    assert [definition.wait_before(n) for n in (1, 2, 3, 20)] == [1, 2, 4, 600]


def test_a_time_limit_is_tried_again_only_where_that_is_asked_for() -> None:
    body = {**condition("t"), "max_retries": 1}
    assert not TaskDefinition.from_dict(body).retries(0, timed_out=True)
    assert TaskDefinition.from_dict({**body, "retry_on_timeout": True}).retries(0, timed_out=True)
    assert TaskDefinition.from_dict({**body, "max_retries": -1}).retries(10_000, timed_out=False)


def test_one_reason_starts_one_run(desk: Desk) -> None:
    first, again = (desk.submit([condition("a")], start_key="dev.p.j due at noon") for _ in range(2))
    assert first == again
    assert len(desk.runs.newest()) == 1


def test_a_job_without_a_queue_skips_what_is_too_much(desk: Desk) -> None:
    running = desk.submit([condition("a")])
    desk.outcome(running)
    desk.runs.update(running, state="RUNNING")
    skipped = desk.runs.get(desk.submit([condition("a")], queue={"enabled": False}))
    assert (skipped.state, skipped.reason) == ("CANCELED", "skipped: 1 of at most 1 go on, and its queue is off")
    desk.runs.update(running, state="SUCCESS")


def test_pages_of_runs_follow_each_other(desk: Desk) -> None:
    made = [desk.submit([condition("a")]) for _ in range(5)]
    pages, after = [], None
    while page := [r.id for r in desk.runs.newest(limit=2, after=after)]:
        pages.append(page)
        after = page[-1]
    assert [len(p) for p in pages] == [2, 2, 1]
    assert sorted(run for page in pages for run in page) == sorted(made)
