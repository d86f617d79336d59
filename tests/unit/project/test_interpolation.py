"""References and variables."""

from pathlib import Path
from typing import Any

import pytest

from boathouse.environments import GitFacts
from boathouse.errors import InvalidBundle
from boathouse.project import load

GIT = GitFacts("c0ffee" + "0" * 34, "main", dirty=False, origin_url="https://example.org/flights.git")


def parameters(directory: Path, more: str = "", target: str = "dev", **how: Any) -> dict[str, str]:
    """The notebook parameters of a project that has `more`; they are the references under test."""
    asked = how.pop("asked")
    rows = "\n".join(f"              {key}: {value}" for key, value in asked.items())
    (directory / "boathouse.yml").write_text(f"""
bundle: {{name: flights}}
resources:
  jobs:
    training:
      tasks:
        - task_key: a
          notebook_task:
            notebook_path: n
            base_parameters:
{rows}
{more}
""")
    options = {"git": GIT, "environ": {}, "user": "ann.lee@example.org", **how}
    task = load(directory, target, **options).resources.jobs["training"].tasks[0]
    assert task.notebook_task is not None
    return task.notebook_task.base_parameters


VARIABLES = """
variables:
  months: {default: 3}
  catalog: {description: where to write}
targets:
  dev: {variables: {catalog: dev}}
  prod: {variables: {catalog: {default: prod}}}
"""


def test_facts_of_the_bundle_and_of_git_are_known(tmp_path: Path) -> None:
    asked = {
        "a": "${bundle.name}-${bundle.target}",
        "b": "'url:${bundle.git.origin_url}; branch:${bundle.git.branch}; commit:${bundle.git.commit}'",
        "c": "/Users/${workspace.current_user.userName}/${workspace.current_user.short_name}",
    }
    assert parameters(tmp_path, asked=asked) == {
        "a": "flights-dev",
        "b": f"url:{GIT.origin_url}; branch:main; commit:{GIT.commit}",
        "c": "/Users/ann.lee@example.org/ann.lee",
    }


def test_a_folder_without_git_has_empty_facts(tmp_path: Path) -> None:
    assert parameters(tmp_path, asked={"a": "'c:${bundle.git.commit}'"}, git=None) == {"a": "c:"}


def test_run_time_references_are_left_alone(tmp_path: Path) -> None:
    kept = "{{job.run_id}} {{job.as_of}} ${HOME} $x"
    assert parameters(tmp_path, asked={"a": f'"{kept}"'}) == {"a": kept}


def test_texts_that_look_like_something_else_stay_texts(tmp_path: Path) -> None:
    asked = {"a": "2013-01-01", "b": "no", "c": "10:30", "d": "true", "e": "007", "f": "1e-3", "g": "3"}
    assert parameters(tmp_path, asked=asked) == {**asked, "f": "0.001"}


@pytest.mark.parametrize(
    ("target", "given", "environ", "catalog"),
    [
        ("dev", {}, {}, "dev"),
        ("prod", {}, {}, "prod"),
        ("prod", {}, {"BUNDLE_VAR_catalog": "theirs"}, "theirs"),
        ("prod", {}, {"BUNDLE_VAR_catalog": "theirs", "BOATHOUSE_VAR_catalog": "ours"}, "ours"),
        ("prod", {"catalog": "mine"}, {"BOATHOUSE_VAR_catalog": "ours"}, "mine"),
    ],
)
def test_the_nearest_value_of_a_variable_wins(
    tmp_path: Path, target: str, given: dict[str, str], environ: dict[str, str], catalog: str
) -> None:
    how = {"variables": given, "environ": environ, "asked": {"a": "${var.catalog}", "b": "${var.months}"}}
    assert parameters(tmp_path, VARIABLES, target, **how) == {"a": catalog, "b": "3"}


def test_variables_may_refer_to_each_other(tmp_path: Path) -> None:
    more = "variables: {model: {default: '${bundle.target}.${var.schema}.delay'}, schema: {default: flights}}"
    assert parameters(tmp_path, more, asked={"a": "${var.model}"}) == {"a": "dev.flights.delay"}


def test_a_circle_of_variables_is_named(tmp_path: Path) -> None:
    more = "variables: {a: {default: '${var.b}'}, b: {default: '${var.a}'}}"
    with pytest.raises(InvalidBundle, match=r"circle: \$\{var\.a\} -> \$\{var\.b\} -> \$\{var\.a\}"):
        parameters(tmp_path, more, asked={"x": "${var.a}"})


def test_a_complex_variable_is_a_whole_mapping(tmp_path: Path) -> None:
    (tmp_path / "boathouse.yml").write_text("""
bundle: {name: flights}
variables:
  how: {type: complex, default: {months: 3, deep: {seed: 7}}}
resources:
  jobs:
    a: {tasks: [{task_key: t, notebook_task: {notebook_path: n, base_parameters: "${var.how.deep}"}}]}
""")
    for given, seed in ({}, "7"), ({"how": '{"deep": {"seed": 8}}'}, "8"):
        task = load(tmp_path, variables=given, git=GIT, environ={}).resources.jobs["a"].tasks[0]
        assert task.notebook_task is not None
        assert task.notebook_task.base_parameters == {"seed": seed}


def test_a_variable_without_a_value_matters_only_where_it_is_used(tmp_path: Path) -> None:
    more = "variables: {catalog: {description: x}, policy: {lookup: {cluster_policy: p}}}"
    assert parameters(tmp_path, more, asked={"a": "b"}) == {"a": "b"}
    with pytest.raises(
        InvalidBundle, match=r"boathouse\.yml:11: .* no value in target 'dev': .* --var catalog=…"
    ):
        parameters(tmp_path, more, asked={"a": "${var.catalog}"})


def test_an_undeclared_variable_suggests_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match="no variable 'mnoths'; did you mean 'months'"):
        parameters(tmp_path, VARIABLES, asked={"a": "b"}, variables={"mnoths": "1"})
    with pytest.raises(InvalidBundle, match=r"boathouse\.yml:11: \$\{var\.mnoths\} .* did you mean 'months'"):
        parameters(tmp_path, VARIABLES, asked={"a": "${var.mnoths}"})


@pytest.mark.parametrize(
    "reference", ["${bundle.nmae}", "${resources.jobs.trainnig.id}", "${workspace.nothing}"]
)
def test_a_reference_to_nothing_is_refused(tmp_path: Path, reference: str) -> None:
    with pytest.raises(InvalidBundle, match=r"boathouse\.yml:11: .* names nothing"):
        parameters(tmp_path, asked={"a": reference})


def test_the_id_of_a_resource_is_what_it_is_called_in_its_environment(tmp_path: Path) -> None:
    asked = {
        "job": "${resources.jobs.training.id}",
        "model": "${resources.registered_models.delay.id}",
        "model_name": "${resources.registered_models.delay.name}",
        "schema": "${resources.schemas.raw.id}",
    }
    more = "    unused: {tasks: [{task_key: a, run_job_task: {job_id: '${resources.jobs.training.id}'}}]}\n"
    more += "  registered_models: {delay: {name: 'd_${bundle.target}', schema_name: flights}}\n"
    more += "  schemas: {raw: {name: raw}}"
    found = parameters(tmp_path, more, asked=asked)
    assert found == {"job": "training", "model": "flights.d_dev", "model_name": "d_dev", "schema": "raw"}
    child = load(tmp_path, git=GIT, environ={}).resources.jobs["unused"].tasks[0].run_job_task
    assert child is not None
    assert child.job == "training"


def test_spaces_in_a_text_are_kept(tmp_path: Path) -> None:
    assert parameters(tmp_path, asked={"a": "'  two  '"}) == {"a": "  two  "}
