"""The code of a model that somebody trains by hand is kept, committed or not."""

import subprocess
import sys
from pathlib import Path

import pytest

ASK = """from boathouse.training import running_source
found = running_source()
print(found.name, found.kept_in_git, found.text, sep="|", end="")
"""


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def said(folder: Path, *words: str) -> str:
    return subprocess.run([sys.executable, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_a_script_is_kept_and_whether_a_commit_has_it(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(ASK)
    assert said(tmp_path, "train.py") == f"train.py|False|{ASK}"
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "Start")
    assert said(tmp_path, "train.py") == f"train.py|True|{ASK}"


def test_the_cells_of_a_notebook_are_what_ran(tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    cells = ["depth = 3", ASK]
    run = "from IPython.core.interactiveshell import InteractiveShell\nshell = InteractiveShell.instance()\n"
    run += "".join(f"shell.run_cell({cell!r}, store_history=True)\n" for cell in cells)
    assert said(tmp_path, "-c", run) == f"cells.py|False|depth = 3\n\n# %%\n{ASK}"


def test_other_programs_have_none(tmp_path: Path) -> None:
    assert said(tmp_path, "-c", "from boathouse.training import running_source\nprint(running_source())") == "None\n"
