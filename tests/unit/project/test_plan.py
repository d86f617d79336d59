"""What a deployment changes."""

import json
from pathlib import Path

import pytest

from boathouse.environments import GitFacts
from boathouse.errors import Conflict, InvalidInput
from boathouse.project import (
    Bundle,
    Change,
    FieldChange,
    Job,
    ResourceState,
    load,
    parse_resource,
    render,
)
from boathouse.project import plan as planned

TEXT = """
bundle: {name: flights}
resources:
  schemas: {raw: {name: raw}}
  jobs:
    training:
      schedule: {cron: 0 6 * * *}
      tasks:
        - {task_key: train, max_retries: 1, spark_python_task: {python_file: train.py}}
        - {task_key: check, spark_python_task: {python_file: check.py}}
"""


def bundle(directory: Path, text: str = TEXT) -> Bundle:
    (directory / "boathouse.yml").write_text(text)
    return load(directory, git=GitFacts(), environ={})


def plan(current: list[ResourceState], wanted: Bundle) -> list[Change]:
    return planned(current, wanted.resources_list())


def deployed(wanted: Bundle) -> list[ResourceState]:
    """As a database gives it back."""
    return [
        ResourceState(kind, key, json.loads(json.dumps(body))) for kind, key, body in wanted.resources_list()
    ]


def test_all_is_new_at_first_in_the_order_of_making(tmp_path: Path) -> None:
    assert plan([], bundle(tmp_path)) == [
        Change("create", "schema", "raw"),
        Change("create", "job", "training"),
    ]


def test_deploying_the_same_again_changes_nothing(tmp_path: Path) -> None:
    wanted = bundle(tmp_path)
    assert {change.action for change in plan(deployed(wanted), wanted)} == {"same"}


def test_writing_out_a_default_is_no_change(tmp_path: Path) -> None:
    before = deployed(bundle(tmp_path))
    after = TEXT.replace("cron: 0 6 * * *", "cron: 0 6 * * *, timezone_id: UTC").replace(
        "      schedule", "      max_concurrent_runs: 1\n      tags: {}\n      schedule"
    )
    assert {change.action for change in plan(before, bundle(tmp_path, after))} == {"same"}


def test_a_change_names_the_field_of_the_task(tmp_path: Path) -> None:
    before = deployed(bundle(tmp_path))
    after = (
        TEXT.replace("max_retries: 1", "max_retries: 2")
        .replace("0 6", "30 7")
        .replace("task_key: check", "task_key: x")
    )
    (_, change) = plan(before, bundle(tmp_path, after))
    assert change.action == "change"
    assert FieldChange("schedule.cron", "0 6 * * *", "30 7 * * *") in change.fields
    assert FieldChange("tasks[train].max_retries", 1, 2) in change.fields
    assert [(f.path, f.old is None, f.new is None) for f in change.fields if "train" not in f.path][1:] == [
        ("tasks[check]", False, True),
        ("tasks[x]", True, False),
    ]


def test_another_order_of_tasks_is_a_change(tmp_path: Path) -> None:
    before = deployed(bundle(tmp_path))
    rows = TEXT.strip().splitlines()
    swapped = "\n".join([*rows[:-2], rows[-1], rows[-2]])
    (_, change) = plan(before, bundle(tmp_path, swapped))
    assert change.fields == (FieldChange("tasks (order)", ["train", "check"], ["check", "train"]),)


def test_what_left_the_project_is_deleted_last_and_backwards(tmp_path: Path) -> None:
    before = deployed(bundle(tmp_path))
    after = bundle(
        tmp_path, "bundle: {name: flights}\nresources: {volumes: {v: {name: v, schema_name: raw}}}"
    )
    assert plan(before, after) == [
        Change("create", "volume", "v"),
        Change("delete", "job", "training"),
        Change("delete", "schema", "raw"),
    ]


def test_a_protected_resource_is_not_deleted(tmp_path: Path) -> None:
    protected = TEXT.replace("{name: raw}", "{name: raw, lifecycle: {prevent_destroy: true}}")
    before = deployed(bundle(tmp_path, protected))
    with pytest.raises(Conflict, match=r"schema raw has lifecycle\.prevent_destroy"):
        plan(before, bundle(tmp_path, "bundle: {name: flights}"))


def test_plain_tuples_describe_what_is_deployed_too(tmp_path: Path) -> None:
    wanted = bundle(tmp_path)
    assert {change.action for change in plan([tuple(state) for state in deployed(wanted)], wanted)} == {
        "same"
    }


def test_a_plan_reads_as_text(tmp_path: Path) -> None:
    before = [*deployed(bundle(tmp_path)), ResourceState("alert", "old", {})]
    after = TEXT.replace("0 6", "0 7").replace("raw: {name: raw}", "raw: {name: raw}, new: {name: new}")
    assert render(plan(before, bundle(tmp_path, after))).splitlines() == [
        "+ schema new",
        "~ job training",
        '    schedule.cron: "0 6 * * *" -> "0 7 * * *"',
        "- alert old",
        "1 to create, 1 to change, 1 to delete, 1 unchanged",
    ]


def test_a_definition_is_read_back_as_the_resource(tmp_path: Path) -> None:
    wanted = bundle(tmp_path)
    ((_, _, body),) = [entry for entry in wanted.resources_list() if entry[0] == "job"]
    assert parse_resource("job", json.loads(json.dumps(body))) == wanted.resources.jobs["training"]
    assert isinstance(parse_resource("job", body), Job)
    with pytest.raises(InvalidInput, match="no kind of resource 'jobs'"):
        parse_resource("jobs", {})
    with pytest.raises(InvalidInput, match="this is not a job"):
        parse_resource("job", {})
