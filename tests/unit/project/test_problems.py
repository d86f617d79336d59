"""What is wrong in a project file is told with its file, line and key."""

import re
from pathlib import Path

import pytest

from boathouse.environments import GitFacts
from boathouse.errors import InvalidBundle
from boathouse.project import load

TASK = "{task_key: a, notebook_task: {notebook_path: n}}"


def problem(directory: Path, text: str, target: str | None = None) -> str:
    (directory / "boathouse.yml").write_text(text)
    with pytest.raises(InvalidBundle) as caught:
        load(directory, target, git=GitFacts(), environ={}, user="ann")
    return str(caught.value)


def resources(text: str) -> str:
    return "bundle: {name: flights}\nresources:\n" + "\n".join(f"  {row}" for row in text.splitlines())


def job(text: str) -> str:
    return resources("jobs:\n  training:\n" + "\n".join(f"    {row}" for row in text.splitlines()))


def test_an_unknown_key_names_the_line_and_the_nearest_key(tmp_path: Path) -> None:
    text = job(f"max_concurrent_runs: 1\ntaks:\n  - {TASK}")
    expected = "boathouse.yml:6: resources.jobs.training.taks: unknown key; did you mean 'tasks'?"
    assert problem(tmp_path, text) == expected


def test_an_unknown_key_in_a_task_names_the_task(tmp_path: Path) -> None:
    text = job("tasks:\n  - task_key: train\n    notebook_task: {notebook_path: n}\n    retries: 3")
    spot = "boathouse.yml:8: resources.jobs.training.tasks[train].retries"
    assert problem(tmp_path, text) == f"{spot}: unknown key; did you mean 'max_retries'?"


def test_every_unknown_key_is_told_at_once_also_those_of_other_targets(tmp_path: Path) -> None:
    text = "bundle: {name: x, nmae: y}\nrecources: {}\ntargets:\n  prod: {mod: production}"
    lines = problem(tmp_path, text, "prod").splitlines()
    assert [line.partition(": unknown")[0] for line in lines] == [
        "boathouse.yml:1: bundle.nmae", "boathouse.yml:2: recources", "boathouse.yml:4: targets.prod.mod",
    ]  # fmt: skip


def test_an_unknown_key_in_an_included_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "jobs.yml").write_text("resources:\n  jobs: {}\n  job: {}\n")
    text = problem(tmp_path, "bundle: {name: x}\ninclude: [jobs.yml]")
    assert text == "jobs.yml:3: resources.job: unknown key; did you mean 'jobs'?"


def test_a_metrics_limit_has_known_names(tmp_path: Path) -> None:
    metrics = "{roc_auc: {minimum: 0.6}}"
    text = resources(
        f"registered_models:\n  delay:\n    schema_name: s\n    name: delay\n"
        f"    delivery: {{evaluation: {{table: a.b, label: y, metrics: {metrics}}}}}"
    )
    assert "delivery.evaluation.metrics.roc_auc.minimum: unknown key; did you mean 'min'?" in problem(
        tmp_path, text
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            f"tasks: [{TASK}]\nmax_concurrent_runs: many",
            ".max_concurrent_runs: input should be a valid integer",
        ),
        ("tasks: []", ".tasks: list should have at least 1 item"),
        ("name: x", ".tasks: field required"),
        (f"tasks: [{TASK}]\nschedule: {{cron: daily}}", ".schedule: 'daily' is no schedule"),
        (f"tasks: [{TASK}]\nschedule: {{timezone_id: UTC}}", "give either quartz_cron_expression or cron"),
        (f"tasks: [{TASK}]\ntrigger: {{pause_status: PAUSED}}", "a trigger needs table_update"),
        (f"tasks: [{TASK}, {TASK}]", "task_key 'a' is given twice"),
        (
            f"tasks: [{TASK}]\ncontinuous: {{}}\nschedule: {{cron: 0 6 * * *}}",
            "neither a schedule nor a trigger",
        ),
        ("tasks: [{task_key: a}]", ".tasks[a]: task 'a' needs exactly one of"),
        ("tasks: [{task_key: a, dbt_task: {}}]", ".tasks[a].dbt_task is not supported, and nothing is left without it"),
        (
            "tasks: [{task_key: a, notebook_task: {notebook_path: n}, sql_task: {query: select 1}}]",
            "it has notebook_task and sql_task",
        ),
        (f"tasks: [{TASK[:-1]}, run_if: SOMETIMES}}]", ".tasks[a].run_if: input should be 'ALL_SUCCESS'"),
        (f"tasks: [{TASK[:-1]}, environment_key: gpu}}]", "asks for environment 'gpu'; there are default"),
        (f"tasks: [{TASK[:-1]}, depends_on: [{{task_key: b}}]}}]", "depends on 'b'; the tasks are a"),
        (
            "tasks: [{task_key: a, for_each_task: {inputs: [1]}}]",
            ".tasks[a].for_each_task.task: field required",
        ),
    ],
)
def test_what_is_wrong_with_a_job_is_said(tmp_path: Path, body: str, said: str) -> None:
    text = problem(tmp_path, job(body))
    assert text.startswith("boathouse.yml:")
    assert f"resources.jobs.training{said}" in text if said.startswith(".") else said in text


def test_a_circle_of_tasks_is_named(tmp_path: Path) -> None:
    needs = {"a": "c", "b": "a", "c": "b"}
    tasks = [
        f"  - {{task_key: {key}, depends_on: [{{task_key: {need}}}], notebook_task: {{notebook_path: n}}}}"
        for key, need in needs.items()
    ]
    text = problem(tmp_path, job("\n".join(["tasks:", *tasks])))
    assert text.endswith("tasks depend on each other in a circle: a -> c -> b -> a")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("run_job_task: {job_name: a}", "resources.jobs.a.tasks[t]: a job that runs itself never ends: a -> a"),
        ("run_job_task: {job_id: '${resources.jobs.b.id}'}", "never ends: a -> b -> a"),
        ("for_each_task: {inputs: [1], task: {task_key: i, run_job_task: {job_name: a}}}", "never ends: a -> a"),
    ],
)
def test_a_job_that_runs_itself_is_refused(tmp_path: Path, body: str, said: str) -> None:
    jobs = f"a: {{tasks: [{{task_key: t, {body}}}]}}\n  b: {{tasks: [{{task_key: t, run_job_task: {{job_name: a}}}}]}}"
    text = problem(tmp_path, resources(f"jobs:\n  {jobs}"))
    assert re.match(r"boathouse\.yml:\d+: resources\.jobs\.a\.tasks", text)
    assert said in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alerts: {a: {monitor: delya, condition: count < 1}}\nquality_monitors: {delay: {model: m.n}}",
         "resources.alerts.a.monitor: there is no monitor 'delya' in this project; did you mean 'delay'?"),
        ("alerts: {a: {monitor: o.m, condition: count < 1, run_job: go}}",
         "resources.alerts.a.run_job: there is no job 'go' in this project"),
        ("quality_monitors: {delay: {model: delay}}", "there is no registered model 'delay'"),
        ("quality_monitors: {m: {table_name: a.b}}", "needs one of inference_log, time_series and snapshot"),
        ("quality_monitors: {m: {table_name: a.b, inference_log: {label_col: y, granularities: [1 day]}}}",
         "inference_log of a table needs timestamp_col, prediction_col, model_id_col, problem_type"),
        ("quality_monitors: {m: {model: a.b, inference_log: {granularities: [often]}}}",
         "resources.quality_monitors.m.inference_log.granularities[0]: 'often' is not a granularity"),
        ("schemas: {s: {name: a-b}}", "resources.schemas.s.name: 'a-b' is not a name"),
        ("schemas: {a.b: {name: a}}", "resources.schemas.a.b: a key has letters, digits, '_' and '-' only"),
        ("model_serving_endpoints: {e: {name: e, config: {served_entities: [{name: a, entity_name: x.y}], "
         "traffic_config: {routes: [{served_model_name: a, traffic_percentage: 90}]}}}}",
         "traffic percentages must make 100, and they make 90"),
        ("model_serving_endpoints: {e: {name: e, config: {served_entities: [{entity_name: x.y}, "
         "{entity_name: x.z}]}}}", "several served_entities need a traffic_config"),
        ("experiments: {e: {name: e, permissions: [{level: CAN_VIEW}]}}",
         "resources.experiments.e.permissions[0]: give one of user_name, group_name"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_other_resources_is_said(tmp_path: Path, text: str, said: str) -> None:
    assert re.search(rf"^boathouse\.yml:\d+: .*{re.escape(said)}", problem(tmp_path, resources(text)))


@pytest.mark.parametrize(
    ("metrics", "said"),
    [("{auc: {min: 0.9, max: 0.1}}", "auc can not be at least 0.9 and at most 0.1"),
     ("{auc: {not_worse_than_champion_by: -1}}", "auc may fall behind by 0 or more"),
     ("{auc: {}}", "auc needs min, max or not_worse_than_champion_by"),
     ("{roc_auk: {min: 0.9}}", "roc_auk is no metric that gates measure; did you mean 'roc_auc'?"),
     ("{lift: {min: 2}}", "lift is no metric that gates measure; they are accuracy, average_precision"),
     ("{auc: {min: high}}", "metrics.auc.min: input should be a valid number")],
)  # fmt: skip
def test_thresholds_must_be_possible(tmp_path: Path, metrics: str, said: str) -> None:
    evaluation = f"{{table: a.b, label: y, metrics: {metrics}}}"
    model = f"registered_models: {{m: {{name: m, schema_name: s, delivery: {{evaluation: {evaluation}}}}}}}"
    assert said in problem(tmp_path, resources(model))


@pytest.mark.parametrize(
    ("text", "said"),
    [("bundle: {name: x", "boathouse.yml:1: this is not valid YAML"),
     ("bundle: {name: x}\nbundle: {name: y}", "boathouse.yml:2: key 'bundle' stands twice"),
     ("- a", "boathouse.yml:1: a project file is a mapping"),
     ("bundle: {name: !!python/name:os.system x}", "YAML tag"),
     ("bundle: &a {name: x, b: *a}", "an alias repeats too much, or itself"),
     ("targets: {dev: {}}", "boathouse.yml:1: bundle.name: field required"),
     ("bundle: {name: a b}", "bundle.name: 'a b' is no name of a project"),
     ("", "boathouse.yml:1: bundle.name: field required")],
)  # fmt: skip
def test_what_is_no_project_file_is_said(tmp_path: Path, text: str, said: str) -> None:
    assert said in problem(tmp_path, text)


def test_a_bomb_of_aliases_is_refused(tmp_path: Path) -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    assert "an alias repeats too much" in problem(tmp_path, "\n".join(rows))


def test_all_problems_travel_as_details(tmp_path: Path) -> None:
    (tmp_path / "boathouse.yml").write_text("bundle: {name: x, a: 1}\nzzz: 2")
    with pytest.raises(InvalidBundle) as caught:
        load(tmp_path, git=GitFacts())
    assert len(caught.value.details["problems"]) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{job.parametrs.x}}", "is not known in a run; did you mean 'job.parameters.x'?"),
        ("{{job.parameters.y}}", "is not known in a run; did you mean 'job.parameters.x'?"),
        ("{{tasks.nobody.values.n}}", "names no task of the job: its tasks are first, second"),
        ("{{tasks.first.values.n}}", "needs 'first' to have run: put it into depends_on of 'second'"),
        ("{{input}}", "is not known in a run"),
    ],
)
def test_a_reference_that_no_run_can_fill_in_is_said(tmp_path: Path, text: str, said: str) -> None:
    written = job(
        "parameters: [{name: x}]\ntasks:\n  - {task_key: first, sql_task: {query: select 1}}\n"
        f"  - {{task_key: second, sql_task: {{query: \"select '{text}'\"}}}}"
    )
    expected = f"boathouse.yml:8: resources.jobs.training.tasks[second].sql_task.query: {text} {said}"
    assert problem(tmp_path, written).startswith(expected)


def test_problems_come_by_line_and_speak_of_lists_not_of_pythons_types(tmp_path: Path) -> None:
    text = job("max_concurrent_runs: x\ntasks:\n  - {task_key: a, depends_on: b, sql_task: {query: q}}")
    lines = problem(tmp_path, text).splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["boathouse.yml:5", "boathouse.yml:7"]
    assert lines[1].endswith("input should be a list, not 'b'")


def test_an_environment_that_is_none_is_said_with_the_nearest(tmp_path: Path) -> None:
    told = problem(tmp_path, "bundle: {name: x}\ntargets: {dev: {environment: dve}}")
    assert told == "boathouse.yml:2: targets.dev.environment: there is no environment 'dve'; did you mean 'dev'?"


def test_a_file_in_another_encoding_names_its_first_wrong_line(tmp_path: Path) -> None:
    (tmp_path / "boathouse.yml").write_bytes("bundle:\n  name: Malmö\n".encode("latin-1"))
    with pytest.raises(InvalidBundle, match=r"boathouse\.yml:2: this is not UTF-8 text"):
        load(tmp_path, git=GitFacts(), environ={})


def test_a_condition_over_an_unknown_metric_is_said_before_anything_is_deployed(tmp_path: Path) -> None:
    told = problem(tmp_path, resources("alerts: {a: {monitor: o.m, condition: roc_ac < 1}}"))
    assert told.endswith("'roc_ac' is not a metric of the gold tables; the nearest is 'roc_auc'")


@pytest.mark.parametrize(
    ("alert", "said"),
    [("condition: psi > 1", "psi is known of single columns: say of which, as in `column: prediction`"),
     ("condition: count < 1 and auc < 1, column: x", "auc is known of the whole table: leave out `column: x`")],
)  # fmt: skip
def test_a_condition_that_its_rows_can_never_meet_is_refused(tmp_path: Path, alert: str, said: str) -> None:
    assert problem(tmp_path, resources(f"alerts: {{a: {{monitor: o.m, {alert}}}}}")).endswith(said)


def test_the_id_of_a_webhook_is_a_name_and_not_an_address(tmp_path: Path) -> None:
    text = "webhook_notifications: {on_failure: [{id: 'http://x'}]}\ntasks: [" + TASK + "]"
    assert "give an address as url" in problem(tmp_path, job(text))


def test_a_reference_may_hold_its_name_in_brackets(tmp_path: Path) -> None:
    query = "sql_task: {query: \"select '{{job.parameters.[x]}}'\"}"
    (tmp_path / "boathouse.yml").write_text(job(f"parameters: [{{name: x}}]\ntasks:\n  - {{task_key: first, {query}}}"))
    load(tmp_path, git=GitFacts())
