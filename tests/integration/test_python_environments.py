"""Tasks run in the environment that their project's lock asks for."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wheels import make_wheel, pinned, wheels  # noqa: F401

from boathouse.client import Lake
from boathouse.errors import RunFailed

BUNDLE = """
bundle: {name: locked}
targets: {dev: {default: true, mode: development, environment: dev}}
resources:
  jobs:
    which: {tasks: [{task_key: say, spark_python_task: {python_file: say.py}}]}
    named:
      environments: [{environment_key: other, spec: {dependencies: ["bhgreeting==2.0"]}}]
      tasks:
        - {task_key: say, environment_key: other, spark_python_task: {python_file: say.py}}
    more:
      tasks:
        - task_key: say
          libraries: [{whl: "dist/*.whl"}]
          spark_python_task: {python_file: more.py}
"""
SAY = "import bhgreeting, boathouse\nprint('word', bhgreeting.WORD, boathouse.connect().run.lock_hash)\n"


@pytest.fixture
def project(lake: Lake, tmp_path: Path, wheels: Path) -> Iterator[Path]:  # noqa: F811
    (tmp_path / "boathouse.yml").write_text(BUNDLE)
    (tmp_path / "say.py").write_text(SAY)
    (tmp_path / "more.py").write_text("import bhgreeting, bhmore\nprint('words', bhgreeting.WORD, bhmore.WORD)\n")
    make_wheel(tmp_path / "dist", "3.0", "bhmore")
    (tmp_path / "requirements.lock").write_text(pinned(wheels / "bhgreeting-1.0-py3-none-any.whl"))
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(tmp_path)})
    yield tmp_path
    lake.call("POST", "/api/v1/python-environments/prune", {"unused": "0s"})


def log(lake: Lake, job: str) -> str:
    return str(lake.jobs.log(lake.jobs.run(job)["id"], "say"))


def test_a_task_runs_in_the_environment_of_its_projects_lock(lake: Lake, project: Path) -> None:
    first, second = log(lake, "which"), log(lake, "which")
    assert "building the Python environment" in first
    assert "word 1.0" in first
    assert second.startswith("word 1.0")
    [built] = lake.call("GET", "/api/v1/python-environments")
    assert built["lock_hash"] in second


def test_an_environment_key_selects_another(lake: Lake, project: Path) -> None:
    assert "word 2.0" in log(lake, "named")


def test_a_wheel_of_the_project_comes_on_top_and_is_known_by_its_content(lake: Lake, project: Path) -> None:
    assert "words 1.0 3.0" in log(lake, "more")
    assert "building" not in log(lake, "more")
    with (project / "dist" / "bhmore-3.0-py3-none-any.whl").open("ab") as wheel:
        wheel.write(b"\0")
    assert "building" in lake.jobs.log(lake.jobs.wait(lake.jobs.submit("more"))["id"], "say")


def test_a_broken_lock_fails_the_run_with_the_resolvers_words(lake: Lake, project: Path) -> None:
    (project / "requirements.lock").write_text("bhgreeting==9.9\n")
    with pytest.raises(RunFailed, match=r"there is no version of bhgreeting==9\.9"):
        lake.jobs.run("which")


def test_the_command_lists_and_prunes(
    lake: Lake, project: Path, command: Callable[..., tuple[int, str]]
) -> None:
    lake.jobs.run("which")
    assert '"lock": "requirements.lock"' in command("environments", "python", "list", "--json")[1]
    assert "requirements.lock" in command("environments", "python", "prune", "--unused", "0s")[1]
    assert "none: tasks run in the server's own" in command("environments", "python", "list")[1]


def test_a_task_gets_neither_addresses_nor_keys_of_package_indexes(lake: Lake, project: Path) -> None:
    (project / "say.py").write_text("import os\nprint([k for k in os.environ if k.startswith('UV_')])\n")
    assert os.environ["UV_FIND_LINKS"]
    assert log(lake, "which").splitlines()[-1] == "[]"
