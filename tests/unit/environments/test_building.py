"""Where there are walls, packages that run code when they are built are built behind them."""

import tarfile
from pathlib import Path
from typing import Any

import pytest
from wheels import pinned, wheels  # noqa: F401

from boathouse.environments import PythonEnvironments, isolation
from boathouse.environments.building import main
from boathouse.errors import InvalidInput

BACKEND = """
import pathlib, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    seen = pathlib.Path("SECRET").exists()
    info = "bhsource-1.0.dist-info"
    with zipfile.ZipFile(pathlib.Path(folder) / "bhsource-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("bhsource.py", f"SEEN = {seen}")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: bhsource\\nVersion: 1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return "bhsource-1.0-py3-none-any.whl"
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "bhsource"
version = "1.0"
"""


@pytest.fixture
def walls(tmp_path: Path) -> dict[str, Any]:
    found = isolation("auto")
    if found.program is None:
        pytest.skip(found.why)
    return {"program": found.program, "hidden": [str(tmp_path / "home")], "readable": [str(tmp_path / "code")]}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A package as source, whose builder looks for a secret of the home."""
    for name in ("home/python", "code", "bhsource-1.0"):
        (tmp_path / name).mkdir(parents=True)
    (secret := tmp_path / "home" / "secret").write_text("s")
    (tmp_path / "bhsource-1.0" / "backend.py").write_text(BACKEND.replace("SECRET", str(secret)))
    (tmp_path / "bhsource-1.0" / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "bhsource-1.0" / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: bhsource\nVersion: 1.0\n")
    made = tmp_path / "code" / "bhsource-1.0.tar.gz"
    with tarfile.open(made, "w:gz") as archive:
        archive.add(tmp_path / "bhsource-1.0", "bhsource-1.0")
    return made


def built(folder: Path, environments: PythonEnvironments, code: Path, walls: dict[str, Any] | None) -> Path:
    wanted = environments.wanted(code)
    assert main(environments.request(wanted, walls)) == 0
    assert wanted.key
    assert not list(folder.glob(".*"))
    return folder / wanted.key


@pytest.mark.usefixtures("wheels")
def test_a_package_that_is_built_sees_no_home_behind_walls(tmp_path: Path, source: Path, walls: dict[str, Any],
                                                           capfd: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    (source.parent / "requirements.txt").write_text(f"bhsource @ {source.as_uri()}\nbhgreeting==1.0\n")
    folder = tmp_path / "home" / "python"
    place = built(folder, PythonEnvironments(folder), source.parent, walls)
    assert "once more, behind walls" in capfd.readouterr().out
    [module] = place.glob("lib/python*/site-packages/bhsource.py")
    assert module.read_text() == "SEEN = False"
    assert (place / "requirements.txt").read_text() == f"bhgreeting==1.0\nbhsource @ {source.as_uri()}\n"
    assert len(list((folder / "resolved").glob("*.txt"))) == 1


def test_wheels_need_no_walls(tmp_path: Path, source: Path, wheels: Path, walls: dict[str, Any],  # noqa: F811
                              capfd: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    (source.parent / "requirements.txt").write_text(pinned(wheels / "bhgreeting-1.0-py3-none-any.whl"))
    folder = tmp_path / "home" / "python"
    assert built(folder, PythonEnvironments(folder), source.parent, walls).is_dir()
    assert "walls" not in capfd.readouterr().out


def test_what_was_built_apart_is_not_followed_elsewhere(tmp_path: Path, source: Path) -> None:
    (source.parent / "requirements.txt").write_text("bhgreeting==1.0\n")
    environments = PythonEnvironments(tmp_path / "home" / "python")
    wanted = environments.wanted(source.parent)
    assert wanted.key
    (tmp_path / "apart").mkdir()
    (tmp_path / "apart" / wanted.key).symlink_to(tmp_path / "home")
    with pytest.raises(InvalidInput, match="left no environment"):
        environments.admit(wanted, tmp_path / "apart")
