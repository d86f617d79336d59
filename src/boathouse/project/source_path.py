"""Paths of source files: written relative to the file that names them, kept relative to the project."""

import posixpath
from dataclasses import replace
from pathlib import Path

from boathouse.errors import InvalidBundle
from boathouse.project.located import Node

_KEYS = ("python_file", "notebook_path", "lock")


def localised(node: Node, directory: Path, key: str = "", above: str = "") -> Node:
    """A tree of jobs with its source paths relative to `directory`.

    A path counts from the folder of the file it stands in, or, where nothing is there, from the project's.
    Raises InvalidBundle for a path outside the project.
    """
    if isinstance(node.value, dict):
        kept = {name: localised(child, directory, name, key) for name, child in node.value.items()}
        return replace(node, value=kept)
    if isinstance(node.value, list):
        return replace(node, value=[localised(child, directory, key, above) for child in node.value])
    is_path = key in _KEYS or (key == "path" and above == "file")
    if not is_path or not isinstance(node.value, str) or "{{" in node.value:
        return node
    return replace(node, value=_project_path(node, node.value, directory))


def missing_file(directory: Path, path: str) -> bool:
    """Whether a source path names no file; a notebook may leave out its ending."""
    return not any((directory / f"{path}{ending}").is_file() for ending in ("", ".py", ".ipynb", ".sql"))


def _project_path(node: Node, path: str, directory: Path) -> str:
    from_file = posixpath.normpath(posixpath.join(posixpath.dirname(node.file), path))
    from_project = posixpath.normpath(path)
    inside = [p for p in (from_file, from_project) if not p.startswith(("/", "../")) and p != ".."]
    if not inside:
        raise InvalidBundle(f"{node.where}: {path!r} leaves the project: source files are part of it")
    return next((p for p in inside if not missing_file(directory, p)), inside[0])
