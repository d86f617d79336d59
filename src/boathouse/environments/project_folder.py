"""Where in a repository a project lies: at its top, or in a folder below, as where one repository holds several."""

from functools import lru_cache
from pathlib import Path

import yaml

from boathouse.errors import InvalidInput

PROJECT_FILES = ("boathouse.yml", "boathouse.yaml", "databricks.yml", "databricks.yaml")
_DEPTHS = ("", "*/", "*/*/")


def declared_project(file: Path) -> str | None:
    """The project that a file declares; None for what is no project file."""
    try:
        return str(yaml.safe_load(file.read_text(encoding="utf-8"))["bundle"]["name"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return None


@lru_cache(maxsize=256)
def project_folder(top: Path, name: str) -> Path:
    """The folder whose file declares the project, at most two levels below the top; the top where none does.

    `top` holds one commit's files, which never change. Raises InvalidInput where several folders declare it.
    """
    for depth in _DEPTHS:
        files = (path for file in PROJECT_FILES for path in top.glob(f"{depth}{file}"))
        if found := sorted({path.parent for path in files if declared_project(path) == name}):
            if len(found) > 1:
                places = " and ".join(path.relative_to(top).as_posix() for path in found)
                raise InvalidInput(f"the project {name} is declared in {places}: a project has one folder")
            return found[0]
    return top
