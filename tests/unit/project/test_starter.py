"""New projects: what a template leaves in a folder, and that it is whole."""

import subprocess
import sys
from pathlib import Path

import pytest

from boathouse.environments import GitFacts
from boathouse.errors import AlreadyExists, InvalidInput
from boathouse.project import Bundle, create_project, load, templates

DEFAULT = templates()["default"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("new") / "mine"
    create_project(directory)
    return directory


def git(directory: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=directory, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def bundle(project: Path, target: str) -> Bundle:
    return load(project, target, git=GitFacts(), environ={})


def test_a_new_project_is_a_clean_repository_on_main(project: Path) -> None:
    assert git(project, "branch", "--show-current") == "main"
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "rev-list", "--count", "HEAD") == "1"


def test_all_files_of_the_template_are_committed_and_no_others(tmp_path: Path) -> None:
    made = create_project(tmp_path / "mine")
    there = {p.relative_to(DEFAULT).as_posix() for p in DEFAULT.rglob("*") if p.is_file()}
    assert set(made) == {name for name in there if "_cache" not in name and "__pycache__" not in name} | {
        ".gitignore"
    }


@pytest.mark.parametrize(("folder", "name"), [("orders of May", "orders-of-May"), ("fraud_model", "fraud_model"), ("*", "shop")])
def test_a_project_is_named_after_its_folder(tmp_path: Path, folder: str, name: str) -> None:
    create_project(tmp_path / folder)
    assert bundle(tmp_path / folder, "dev").name == name


def test_a_folder_that_is_there_and_empty_is_filled(tmp_path: Path) -> None:
    assert "boathouse.yml" in create_project(tmp_path)


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(AlreadyExists, match="choose a new one"):
        create_project(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_is_no_place_for_a_project(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("a file")
    with pytest.raises(AlreadyExists, match="no empty folder"):
        create_project(tmp_path / "mine")


def test_an_unknown_template_names_the_known_ones_and_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'defualt'; there are default, flights"):
        create_project(tmp_path / "mine", "defualt")
    assert not (tmp_path / "mine").exists()


def test_who_never_told_git_a_name_gets_a_commit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    create_project(tmp_path / "mine")
    assert git(tmp_path / "mine", "log", "--format=%ae") == "boathouse@localhost"


def test_without_git_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidInput, match="install git"):
        create_project(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("target", ["dev", "staging", "prod"])
@pytest.mark.parametrize("template", sorted(templates()))
def test_every_template_is_whole_in_every_environment(template: str, target: str) -> None:
    read = bundle(templates()[template], target)
    assert read.environment == target
    assert "training" in read.resources.jobs
    assert read.missing_files() == []
    assert read.ignored == []


def test_new_versions_are_tested_on_exactly_what_training_held_out(project: Path) -> None:
    read = load(project, "dev", {"holdout_days": "21"}, git=GitFacts(), environ={})
    train = next(t for t in read.resources.jobs["training"].tasks if t.task_key == "train")
    assert train.spark_python_task
    assert "--holdout-days=21" in train.spark_python_task.parameters
    delivery = read.resources.registered_models["reorder"].delivery
    assert delivery
    assert delivery.evaluation
    assert "interval '21 days'" in str(delivery.evaluation.where)


def test_the_data_are_small_and_what_their_script_makes(tmp_path: Path) -> None:
    create_project(tmp_path / "mine")
    assert sum(p.stat().st_size for p in (tmp_path / "mine" / "data").glob("*.csv")) < 60_000
    subprocess.run([sys.executable, "data/invent.py"], cwd=tmp_path / "mine", check=True)
    assert git(tmp_path / "mine", "status", "--porcelain") == ""
