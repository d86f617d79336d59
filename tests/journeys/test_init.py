"""A newcomer makes a project, trains in dev, brings a change through staging into prod, and scores a file."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.journey, pytest.mark.long, pytest.mark.xdist_group("init")]

MODEL = "shop.reorder"
COMMAND = "import sys; from boathouse.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Newcomer:
    """Someone at a shell, in their project."""

    project: Path
    home: Path

    def types(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`boathouse` with these words, whatever comes of it."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("BOATHOUSE_", "MLFLOW_"))}
        environ |= {"BOATHOUSE_HOME": str(self.home), "COLUMNS": "200"}
        folder = self.project if self.project.exists() else self.project.parent
        return subprocess.run(
            [sys.executable, "-c", COMMAND, *words], cwd=folder, env=environ, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip

    def runs(self, *words: str) -> str:
        """The output of a command that has to succeed."""
        done = self.types(*words)
        assert done.returncode == 0, f"boathouse {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def reads(self, *words: str) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.runs(*words))

    def git(self, *words: str) -> str:
        """Git in the project; what it says."""
        who = ("-c", "user.name=Ann Lee", "-c", "user.email=ann@example.org")
        return subprocess.run(["git", *who, *words], cwd=self.project, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    place = tmp_path_factory.mktemp("newcomer")
    return Newcomer(place / "mine", place / "home")


def test_a_new_project_trains_at_once(newcomer: Newcomer) -> None:
    said = newcomer.runs("init", str(newcomer.project))
    assert "boathouse run training" in said
    assert "SUCCESS" in newcomer.runs("run", "training")


def test_its_model_passed_its_tests_and_is_production(newcomer: Newcomer) -> None:
    model = newcomer.reads("models", "show", MODEL, "--json")
    [version] = model["versions"]
    assert (model["production"], version["stage"], version["verdict"]["outcome"]) == (1, "Production", "pass")
    assert version["verdict"]["evidence"]["candidate"]["roc_auc"] > 0.7


def test_its_tables_answer_in_sql(newcomer: Newcomer) -> None:
    query = "select count(*) as n, max(known_time) <= timestamptz '2025-05-26' as in_time from raw.orders"
    [row] = newcomer.reads("sql", query, "--format", "json")
    assert row["n"] > 1000
    assert row["in_time"]


def test_a_file_is_scored_with_features_of_its_day(newcomer: Newcomer) -> None:
    source, target = newcomer.project.parent / "in.csv", newcomer.project.parent / "out.csv"
    source.write_text("customer_id,day\n5,2025-05-26\n5,2025-03-10\n")
    newcomer.runs("score", f"models:/{MODEL}@champion", str(source), str(target))
    header, today, earlier = target.read_text().splitlines()
    assert header.endswith('"prediction","prediction_probability"')
    assert today.split(",")[2:] != earlier.split(",")[2:]


def test_a_change_is_tested_in_staging_and_merged(newcomer: Newcomer) -> None:
    newcomer.git("switch", "--quiet", "--create", "work")
    with (newcomer.project / "README.md").open("a") as readme:
        readme.write("\nOurs now.\n")
    newcomer.git("commit", "--quiet", "--all", "--message", "Say whose it is")
    assert "the tests passed" in newcomer.runs("requests", "open")
    assert "main is there in this folder, too" in newcomer.runs("requests", "merge", "1")
    assert "Say whose it is" in newcomer.git("log", "--format=%s", "main")


def test_the_tests_left_nothing_in_staging(newcomer: Newcomer) -> None:
    left = [t["name"] for t in newcomer.reads("--env", "staging", "tables", "list", "--json")]
    assert [name for name in left if not name.startswith("staging.system.")] == []


def test_prod_refuses_what_was_not_released(newcomer: Newcomer) -> None:
    refused = newcomer.types("deploy", "-t", "prod", "--ref", "main")
    assert refused.returncode == 1
    assert "is not released: run `boathouse releases cut VERSION`" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_release_brings_it_to_prod(newcomer: Newcomer) -> None:
    assert "prod runs it" in newcomer.runs("releases", "cut", "1.0")
    jobs = newcomer.reads("--env", "prod", "jobs", "list", "--json")
    assert {job["name"] for job in jobs} == {"scoring", "training"}
