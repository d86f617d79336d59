"""Where in a commit's files a project lies."""

from pathlib import Path

import pytest

from boathouse.environments import declared_project
from boathouse.environments.project_folder import project_folder
from boathouse.errors import InvalidInput


@pytest.fixture
def top(tmp_path: Path) -> Path:
    for place, name in (("boathouse.yml", "own"), ("ml/taxi/databricks.yml", "taxi"), ("a/b/c/boathouse.yml", "deep"),
                        ("one/boathouse.yml", "twice"), ("two/boathouse.yml", "twice")):  # fmt: skip
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(f"bundle: {{name: {name}}}\n")
    (tmp_path / "one" / "databricks.yml").write_text("bundle: [")
    return tmp_path


@pytest.mark.parametrize(("name", "place"), [("own", "."), ("taxi", "ml/taxi"), ("deep", "."), ("other", ".")])
def test_the_folder_whose_file_has_the_name_is_the_projects(top: Path, name: str, place: str) -> None:
    assert project_folder(top, name) == top / place


def test_two_folders_of_one_name_are_named(top: Path) -> None:
    with pytest.raises(InvalidInput, match="declared in one and two: a project has one folder"):
        project_folder(top, "twice")


def test_what_is_no_project_file_declares_nothing(top: Path) -> None:
    assert declared_project(top / "one" / "databricks.yml") is None
    assert declared_project(top / "missing.yml") is None
