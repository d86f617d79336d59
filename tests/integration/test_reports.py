"""`boathouse test` writes JUnit reports, also of tests that failed."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

FILES = {
    "boathouse.yml": "bundle: {name: reported}\ntargets: {staging: {environment: staging}}\n",
    "tests/unit/test_one.py": "def test_one():\n    assert 1\n",
    "tests/integration/test_two.py": "def test_good():\n    assert 1\n\n\ndef test_bad():\n    assert 0\n",
}


def counts(report: Path) -> tuple[str | None, str | None]:
    suite = ElementTree.parse(report).getroot()[0]
    return suite.get("tests"), suite.get("failures")


def test_both_kinds_of_tests_leave_a_report(
    command: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    for name, text in FILES.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    for words in ("init --quiet --initial-branch=main", "add --all", "commit --quiet -m Start", "checkout --quiet -b work",
                  "commit --quiet --allow-empty -m Work"):  # fmt: skip
        subprocess.run(["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *words.split()], cwd=project, check=True)
    monkeypatch.chdir(project)
    code, said = command("test", "--junit", "reports")
    assert code == 1, said
    assert counts(project / "reports" / "unit.xml") == ("1", "0")
    assert counts(project / "reports" / "integration.xml") == ("2", "1")
