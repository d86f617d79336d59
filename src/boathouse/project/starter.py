"""New projects from templates: a folder of files, in a Git repository with its first commit."""

import os
import shutil
import subprocess
from pathlib import Path

from boathouse.errors import AlreadyExists, InvalidInput

_PACKAGED = Path(__file__).parent / "templates"
_EXAMPLES = Path(__file__).parents[3] / "examples"
_SKIPPED = shutil.ignore_patterns("__pycache__", "*.pyc", ".venv", ".pytest_cache", ".ruff_cache", ".mypy_cache")
_IDENTITY = ("-c", "user.name=boathouse", "-c", "user.email=boathouse@localhost")


def templates() -> dict[str, Path]:
    """Name -> folder of every template; the flights project lies beside the package in a clone."""
    found = {p.name: p for place in (_EXAMPLES, _PACKAGED) if place.is_dir() for p in sorted(place.iterdir()) if p.is_dir()}
    return dict(sorted(found.items()))


def create_project(directory: Path, template: str = "default") -> list[str]:
    """Fill a new folder from a template and commit it to `main`; the files.

    Raises InvalidInput for an unknown template, AlreadyExists when the folder holds something.
    """
    known = templates()
    if template not in known:
        raise InvalidInput(f"there is no template {template!r}; there are {', '.join(known)}")
    if directory.exists() and any(directory.iterdir()):
        raise AlreadyExists(f"{directory} is not empty; choose a new folder")
    shutil.copytree(known[template], directory, ignore=_SKIPPED, dirs_exist_ok=True)
    (directory / ".gitignore").write_text("__pycache__/\n.pytest_cache/\n.venv/\n")
    _git(directory, "init", "--quiet", "--initial-branch=main")
    _git(directory, "add", "--all")
    who = () if _git(directory, "config", "user.email", check=False).strip() else _IDENTITY
    _git(directory, *who, "commit", "--quiet", "--message", f"New project from the template {template}")
    return sorted(_git(directory, "ls-files").splitlines())


def _git(directory: Path, *words: str, check: bool = True) -> str:
    done = subprocess.run(
        ["git", *words],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
    )
    if check and done.returncode:
        raise InvalidInput(f"git {words[0]} failed in {directory}: {done.stderr.strip()}")
    return done.stdout
