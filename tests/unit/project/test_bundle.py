"""Reading the project file for a target."""

from pathlib import Path

import pytest

from boathouse.environments import GitFacts
from boathouse.errors import InvalidBundle, NotFound
from boathouse.project import Bundle, Trigger, load

GIT = GitFacts("c0ffee" + "0" * 34, "main", dirty=False, origin_url="https://example.org/flights.git")
START = """
bundle: {name: flights}
targets:
  dev: {default: true}
  prod: {mode: production, git: {branch: "release/*"}}
"""


def project(directory: Path, text: str, **files: str) -> Path:
    (directory / "boathouse.yml").write_text(text)
    for name, content in files.items():
        path = directory / name.replace("__", "/").replace("_yml", ".yml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return directory


def read(directory: Path, text: str, target: str | None = None, **variables: str) -> Bundle:
    return load(project(directory, text), target, variables, GIT, environ={}, user="ann@example.org")


def job(body: str) -> str:
    return (
        START
        + "resources:\n  jobs:\n    training:\n"
        + "\n".join(f"      {row}" for row in body.splitlines())
    )


def test_the_smallest_project_has_a_name_and_an_environment(tmp_path: Path) -> None:
    bundle = read(tmp_path, "bundle: {name: flights}")
    assert (bundle.name, bundle.target, bundle.environment) == ("flights", "dev", "dev")
    assert bundle.resources_list() == []
    assert (bundle.tests.unit, bundle.tests.integration) == ("tests/unit", "tests/integration")


def test_a_folder_without_a_project_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="`boathouse init DIR` makes a project"):
        load(tmp_path)


def test_our_file_is_read_before_the_other(tmp_path: Path) -> None:
    (tmp_path / "databricks.yml").write_text("bundle: {name: theirs}")
    assert load(tmp_path, git=GIT).name == "theirs"
    assert read(tmp_path, "bundle: {name: ours}").name == "ours"


def test_includes_are_merged_in_order(tmp_path: Path) -> None:
    project(
        tmp_path,
        START + "include: [resources/*.yml]",
        resources__a_yml="resources: {schemas: {raw: {name: raw}}}",
        resources__b_yml="resources: {schemas: {features: {name: features}}}",
    )
    bundle = load(tmp_path, git=GIT)
    assert [key for _, key, _ in bundle.resources_list()] == ["features", "raw"]
    assert bundle.files == ("boathouse.yml", "resources/a.yml", "resources/b.yml")


def test_one_resource_is_declared_once(tmp_path: Path) -> None:
    text = "resources:\n  schemas:\n    raw: {name: raw}\n"
    project(tmp_path, START + "include: ['*/*.yml']", resources__a_yml=text, resources__b_yml="\n" + text)
    with pytest.raises(
        InvalidBundle, match=r"^resources/b\.yml:4: resources\.schemas\.raw is declared already in "
    ):
        load(tmp_path, git=GIT)


@pytest.mark.parametrize("pattern", ["../*.yml", "/etc/*.yml"])
def test_includes_stay_in_the_project(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(InvalidBundle, match=r"boathouse\.yml:6: include .* leaves the project"):
        read(tmp_path, f"{START}include: ['{pattern}']")


def test_an_include_that_names_no_file_suggests_one(tmp_path: Path) -> None:
    project(tmp_path, START + "include: [resources/job.yml]", resources__jobs_yml="")
    with pytest.raises(InvalidBundle, match=r"names no file; did you mean 'resources/jobs\.yml'\?"):
        load(tmp_path, git=GIT)


def test_a_target_overrides_tasks_by_their_key(tmp_path: Path) -> None:
    text = """
bundle: {name: flights}
resources:
  jobs:
    training:
      max_concurrent_runs: 2
      parameters: [{name: months, default: 3}]
      tasks:
        - {task_key: train, spark_python_task: {python_file: train.py, parameters: [--fast]}}
        - {task_key: check, spark_python_task: {python_file: check.py}}
targets:
  prod:
    resources:
      jobs:
        training:
          parameters: [{name: months, default: 12}, {name: seed, default: 7}]
          tasks:
            - {task_key: train, max_retries: 2, spark_python_task: {parameters: [--full]}}
"""
    training = read(tmp_path, text, "prod").resources.jobs["training"]
    assert [(p.name, p.default) for p in training.parameters] == [("months", "12"), ("seed", "7")]
    train, check = training.tasks
    assert train.spark_python_task is not None
    assert (train.max_retries, train.spark_python_task.parameters) == (2, ("--fast", "--full"))
    assert (check.task_key, training.max_concurrent_runs) == ("check", 2)


def test_the_nearest_target_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match="there is no target 'pord'; did you mean 'prod'"):
        read(tmp_path, START, "pord")


def test_without_a_default_a_target_must_be_chosen(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match="choose a target with -t: a, b"):
        read(tmp_path, "bundle: {name: x}\ntargets: {a: {environment: dev}, b: {environment: prod}}")
    with pytest.raises(InvalidBundle, match="targets a and b both say default: true"):
        read(tmp_path, "bundle: {name: x}\ntargets: {a: {default: true}, b: {default: true}}")


@pytest.mark.parametrize(
    ("target", "body", "environment"),
    [("prod", "{}", "prod"), ("test", "{}", "staging"), ("mine", "{mode: development}", "dev"),
     ("eu", "{environment: prod}", "prod")],
)  # fmt: skip
def test_a_target_knows_its_environment(tmp_path: Path, target: str, body: str, environment: str) -> None:
    assert (
        read(tmp_path, f"bundle: {{name: x}}\ntargets: {{{target}: {body}}}", target).environment
        == environment
    )


def test_a_target_of_another_name_must_say_its_environment(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match=r"boathouse\.yml:2: targets\.eu: say its environment"):
        read(tmp_path, "bundle: {name: x}\ntargets: {eu: {mode: production}}", "eu")


def test_the_branch_of_a_target_is_kept(tmp_path: Path) -> None:
    assert read(tmp_path, START, "prod").settings.git.branch == "release/*"


def test_a_development_target_starts_nothing_by_itself(tmp_path: Path) -> None:
    body = "tasks: [{task_key: a, notebook_task: {notebook_path: a}}]\nschedule: {cron: 0 6 * * *}"
    text = job(body).replace("dev: {default: true}", "dev: {mode: development}")
    schedules = [
        read(tmp_path, text, target).resources.jobs["training"].schedule for target in ("dev", "prod")
    ]
    assert [schedule.pause_status for schedule in schedules if schedule] == ["PAUSED", None]


def test_presets_change_every_resource_that_does_not_speak_for_itself(tmp_path: Path) -> None:
    text = """
bundle: {name: flights}
permissions: [{level: CAN_VIEW, group_name: analysts}]
run_as: {service_principal_name: robot}
resources:
  experiments: {e: {name: /Users/ann/late}}
  model_serving_endpoints: {delay: {name: delay, config: {served_entities: [{entity_name: a.b}]}}}
  registered_models: {delay: {name: delay, schema_name: flights}}
  jobs:
    a: {name: one, tags: {team: x}, tasks: [{task_key: t, notebook_task: {notebook_path: n}}]}
    b:
      max_concurrent_runs: 1
      run_as: {user_name: ann}
      tasks: [{task_key: t, notebook_task: {notebook_path: n}}]
targets:
  dev: {presets: {name_prefix: "[ann] ", jobs_max_concurrent_runs: 4, tags: {team: y, cost: 1}}}
"""
    resources = read(tmp_path, text).resources
    one, two = resources.jobs["a"], resources.jobs["b"]
    assert (one.name, one.tags, one.max_concurrent_runs) == ("[ann] one", {"team": "x", "cost": "1"}, 4)
    assert (two.name, two.max_concurrent_runs) == (None, 1)
    assert [job.run_as.name for job in (one, two) if job.run_as] == ["robot", "ann"]
    assert one.permissions[0].principal == "analysts"
    assert resources.experiments["e"].name == "/Users/ann/[ann] late"
    assert resources.model_serving_endpoints["delay"].name == "_ann_delay"
    assert resources.registered_models["delay"].full_name == "flights.delay"


def test_source_paths_count_from_the_file_that_names_them(tmp_path: Path) -> None:
    text = """
resources:
  jobs:
    a:
      tasks:
        - {task_key: up, notebook_task: {notebook_path: ../notebooks/Train.py}}
        - {task_key: root, spark_python_task: {python_file: src/train.py}}
        - {task_key: sql, sql_task: {file: {path: ./local.sql}}}
"""
    project(tmp_path, START + "include: [resources/*.yml]", resources__jobs_yml=text)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").touch()
    bundle = load(tmp_path, git=GIT)
    up, root, sql = bundle.resources.jobs["a"].tasks
    assert up.notebook_task is not None
    assert root.spark_python_task is not None
    assert sql.sql_task is not None
    assert up.notebook_task.notebook_path == "notebooks/Train.py"
    assert root.spark_python_task.python_file == "src/train.py"
    assert sql.sql_task.file is not None
    assert sql.sql_task.file.path == "resources/local.sql"
    assert bundle.missing_files() == [
        "resources/jobs.yml:6: resources.jobs.a.tasks[up]: runs notebooks/Train.py, which is no file",
        "resources/jobs.yml:8: resources.jobs.a.tasks[sql]: runs resources/local.sql, which is no file",
    ]


@pytest.mark.parametrize("path", ["../../secret.py", "/etc/passwd"])
def test_source_files_are_part_of_the_project(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidBundle, match=r"boathouse\.yml:9: .* leaves the project"):
        read(tmp_path, job(f"tasks: [{{task_key: a, spark_python_task: {{python_file: {path}}}}}]"))


def test_every_trigger_is_understood(tmp_path: Path) -> None:
    body = """
tasks: [{task_key: t, notebook_task: {notebook_path: n}}]
trigger:
  table_update: {table_names: [features.weather]}
  file_arrival: {url: /Volumes/raw/in}
  model: {name: flights.delay, stage: Staging}
  periodic: {interval: 2, unit: HOURS}
  alert: other.drop
  release: true
"""
    trigger = read(tmp_path, job(body)).resources.jobs["training"].trigger
    assert isinstance(trigger, Trigger)
    assert trigger.model is not None
    assert (trigger.model.stage, trigger.alert, trigger.release) == ("Staging", "other.drop", True)


def test_the_list_of_resources_is_always_the_same(tmp_path: Path) -> None:
    text = (
        START + "resources: {schemas: {b: {name: b}, a: {name: a}}, volumes: {v: {name: v, schema_name: a}}}"
    )
    first, second = read(tmp_path, text), read(tmp_path, text)
    assert first.resources_list() == second.resources_list()
    assert first.resources_list() == [
        ("schema", "a", {"name": "a"}),
        ("schema", "b", {"name": "b"}),
        ("volume", "v", {"name": "v", "schema_name": "a"}),
    ]
