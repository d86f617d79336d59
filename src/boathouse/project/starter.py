"""New projects from templates: a folder of files, in a Git repository with its first commit."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from boathouse.errors import AlreadyExists, InvalidInput

_PACKAGED = Path(__file__).parent / "templates"
_WORKFLOWS = Path(__file__).parent / "workflows"
CI = {"github": ".github/workflows/boathouse.yml", "gitlab": ".gitlab-ci.yml", "azure": "azure-pipelines.yml"}
"""Host of a project's CI -> the file that the host reads."""
_EXAMPLES = Path(__file__).parents[3] / "examples"
_CACHES = (".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv", "__pycache__")
_BUNDLE_NAME = re.compile(r"(?m)(^bundle:\n(?:\s*#.*\n)*\s+name: *)\S+")
_NOT_IN_NAMES, _LONGEST_NAME = re.compile(r"[^A-Za-z0-9_-]+"), 100
_IDENTITY = ("-c", "user.name=boathouse", "-c", "user.email=boathouse@localhost")
_UNSIGNED = ("-c", "commit.gpgsign=false")  # signing may ask for a passphrase


def templates() -> dict[str, Path]:
    """Name -> folder of every template; the flights project lies beside the package in a clone."""
    folders = [path for place in (_EXAMPLES, _PACKAGED) if place.is_dir() for path in sorted(place.iterdir())]
    return dict(sorted((path.name, path) for path in folders if (path / "boathouse.yml").is_file()))


def create_project(directory: Path, template: str = "default", ci: str = "none") -> list[str]:
    """Fill a new folder from a template and commit it to `main`; the files. `ci` adds a workflow for that host.

    The project is named after the folder.

    Raises InvalidInput for an unknown template or host, AlreadyExists when the folder holds something.
    """
    if ci != "none" and ci not in CI:
        raise InvalidInput(f"there is no workflow for {ci!r}; there are {', '.join((*CI, 'none'))}")
    known = templates()
    if template not in known:
        raise InvalidInput(f"there is no template {template!r}; there are {', '.join(known)}")
    if directory.is_file() or (directory.exists() and any(directory.iterdir())):
        raise AlreadyExists(f"{directory} is there and no empty folder; choose a new one")
    if not shutil.which("git"):
        raise InvalidInput("a project is a Git repository, and there is no git: install git 2.38 or newer")
    shutil.copytree(known[template], directory, ignore=shutil.ignore_patterns(*_CACHES), dirs_exist_ok=True)
    _name(directory)
    (directory / ".gitignore").write_text("".join(f"{name}/\n" for name in _CACHES))
    if ci in CI:
        (directory / CI[ci]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_WORKFLOWS / f"{ci}.yml", directory / CI[ci])
    _git(directory, "init", "--quiet", "--initial-branch=main")
    _git(directory, "add", "--all")
    who = () if _git(directory, "config", "user.email", check=False).strip() else _IDENTITY
    message = f"New project from the template {template}"
    _git(directory, *who, *_UNSIGNED, "commit", "--quiet", "--message", message)
    return sorted(_git(directory, "ls-files").splitlines())


def _name(directory: Path) -> None:
    """Call the project after its folder, or as the template does where no letter of the folder's name can stand in one."""
    name = _NOT_IN_NAMES.sub("-", directory.resolve().name).strip("-_")[:_LONGEST_NAME]
    if name:
        file = directory / "boathouse.yml"
        file.write_text(_BUNDLE_NAME.sub(lambda found: f"{found[1]}{name}", file.read_text(), count=1))


def _git(directory: Path, *words: str, check: bool = True) -> str:
    environ = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(
        ["git", *words], cwd=directory, capture_output=True, text=True, check=False, env=environ
    )
    if check and done.returncode:
        raise InvalidInput(f"git failed in {directory}: {done.stderr.strip()}")
    return done.stdout
