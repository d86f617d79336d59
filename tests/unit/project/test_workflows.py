"""Workflow files of CI hosts: valid YAML, and commands that the command line has."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from boathouse.cli.app import app
from boathouse.errors import InvalidInput
from boathouse.project import CI, create_project


def workflow(tmp_path: Path, ci: str) -> Any:
    made = create_project(tmp_path / "mine", ci=ci)
    assert CI[ci] in made
    return yaml.safe_load((tmp_path / "mine" / CI[ci]).read_text())


def commands(body: Any) -> list[str]:
    """Every line that a workflow gives to a shell and that calls us."""
    if isinstance(body, dict):
        return [c for value in body.values() for c in commands(value)]
    if isinstance(body, list):
        return [c for value in body for c in commands(value)]
    return [body] if isinstance(body, str) and body.startswith("uv run boathouse") else []


@pytest.mark.parametrize("ci", sorted(CI))
def test_every_workflow_tests_then_deploys_to_staging_and_prod(tmp_path: Path, ci: str) -> None:
    said = [c.removeprefix("uv run boathouse ") for c in commands(workflow(tmp_path, ci))]
    assert [re.sub(r' "\$.*', "", c) for c in said] == [
        "validate -t staging", "test --unit", "test --integration --branch", "deploy -t staging --ref", "deploy -t prod --ref",
    ]  # fmt: skip


SCHEMAS = {
    "github": ["--builtin-schema", "vendor.github-workflows"],
    "gitlab": ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"],
    "azure": ["--builtin-schema", "vendor.azure-pipelines", "--data-transform", "azure-pipelines"],
}
"""Host -> the schema that is published for its files, as check-jsonschema carries it."""


@pytest.mark.parametrize("ci", sorted(CI))
def test_every_workflow_is_what_its_host_reads(tmp_path: Path, ci: str) -> None:
    pytest.importorskip("check_jsonschema", reason="the published schemas come with `make install`")
    create_project(tmp_path / "mine", ci=ci)
    words = [sys.executable, "-m", "check_jsonschema", "--regex-variant", "nonunicode", *SCHEMAS[ci], CI[ci]]
    done = subprocess.run(words, cwd=tmp_path / "mine", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("ci", sorted(CI))
def test_the_command_line_knows_every_option_of_a_workflow(tmp_path: Path, ci: str) -> None:
    for command in commands(workflow(tmp_path, ci)):
        words = shlex.split(command)[3:]
        asked = CliRunner().invoke(app, [words[0], "--help"])
        assert all(word in asked.output for word in words[1:] if word.startswith("-")), command


def test_no_name_that_a_stranger_chose_is_pasted_into_a_githubs_shell(tmp_path: Path) -> None:
    assert not [c for c in commands(workflow(tmp_path, "github")) if "${{" in c]


def test_github_gives_secrets_to_no_fork_and_deploys_on_pushes_alone(tmp_path: Path) -> None:
    jobs = workflow(tmp_path, "github")["jobs"]
    assert "head.repo.full_name == github.repository" in jobs["integration"]["if"]
    assert all("github.event_name == 'push'" in jobs[name]["if"] for name in ("staging", "prod"))
    assert {name for name, job in jobs.items() if "BOATHOUSE_TOKEN" in job.get("env", {})} == {"integration", "staging", "prod"}


def test_an_unknown_host_names_the_known_ones_and_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'travis'; there are github, gitlab, azure, none"):
        create_project(tmp_path / "mine", ci="travis")
    assert not (tmp_path / "mine").exists()
