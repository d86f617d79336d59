"""Requirements: by what is here, by the resolver, and neither yes nor no where nobody answers."""

import os
from importlib.metadata import version
from pathlib import Path

import pytest

from boathouse.delivery import check_requirements


def wanting(folder: Path, *lines: str) -> Path:
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_what_is_installed_is_asked_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    found = check_requirements(wanting(tmp_path, f"numpy=={version('numpy')}", "pandas>=1", "", "# a comment"), tmp_path)
    assert (found.outcome, found.reason) == ("pass", "all 2 requirements are met by the environment that tested it")


def test_offline_holds_in_the_resolvers_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    found = check_requirements(wanting(tmp_path, "some-package-of-nobody==1.0"), tmp_path / "cache", seconds=30)
    assert found.outcome == "hold", found
    assert "127.0.0.1" in found.reason or "no answer" in found.reason


def test_what_no_index_has_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "index"))
    found = check_requirements(wanting(tmp_path, "some-package-of-nobody==1.0"), tmp_path / "cache")
    assert found.outcome == "fail", found
    assert "some-package-of-nobody" in found.reason


def test_a_yes_is_remembered_by_the_requirements_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels, cache = tmp_path / "wheels", tmp_path / "cache"
    _wheel(wheels)
    for name, value in (("UV_NO_INDEX", "1"), ("UV_FIND_LINKS", str(wheels))):
        monkeypatch.setenv(name, value)
    first = check_requirements(wanting(tmp_path, "made-here==1.0"), cache)
    assert first.outcome == "pass", first
    os.rename(wheels, tmp_path / "gone")
    assert check_requirements(tmp_path, cache) == first
    assert check_requirements(tmp_path, tmp_path / "another").outcome != "pass"


def test_without_requirements_it_fails_and_says_what_to_do(tmp_path: Path) -> None:
    assert check_requirements(tmp_path).reason.endswith("log it with pip_requirements")


def _wheel(folder: Path) -> None:
    import zipfile

    folder.mkdir()
    with zipfile.ZipFile(folder / "made_here-1.0-py3-none-any.whl", "w") as wheel:
        facts = {"METADATA": "Metadata-Version: 2.1\nName: made-here\nVersion: 1.0\n", "RECORD": "",
                 "WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}  # fmt: skip
        for name, text in facts.items():
            wheel.writestr(f"made_here-1.0.dist-info/{name}", text)
