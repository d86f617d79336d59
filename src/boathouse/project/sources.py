"""The files of a project, read as one tree."""

from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from boathouse.environments import PROJECT_FILES
from boathouse.errors import InvalidBundle, NotFound
from boathouse.project.located import Node, merge, read


def find(directory: Path) -> Path:
    """The project file of a folder. Raises NotFound."""
    for name in PROJECT_FILES:
        if (directory / name).is_file():
            return directory / name
    raise NotFound(f"no boathouse.yml or databricks.yml in {directory}: `boathouse init DIR` makes a project")


def read_all(directory: Path) -> tuple[Node, tuple[str, ...]]:
    """The project file with all it includes, and their names relative to the folder.

    Raises NotFound, InvalidBundle.
    """
    first = find(directory)
    root = read(first, first.name)
    files = [first.name]
    for path in _included(root, directory):
        name = path.relative_to(directory).as_posix()
        if name in files:
            continue
        part = read(path, name)
        _refuse_doubles(root, part)
        # What an included file keeps at its top for reuse is its own.
        own = {key: child for key, child in part.mapping.items() if not child.anchored and key != "include"}
        root = merge(root, replace(part, value=own))
        files.append(name)
    return root, tuple(files)


def _included(root: Node, directory: Path) -> Iterator[Path]:
    include = root.mapping.get("include")
    if include is None:
        return
    for entry in include.items or [include]:
        if entry.value is None:
            continue
        pattern = str(entry.value).removeprefix("./")
        if pattern.startswith("/") or ".." in Path(pattern).parts or not pattern:
            raise InvalidBundle(
                f"{entry.where}: include {pattern!r} leaves the project: name files inside it"
            )
        found = sorted(path for path in directory.glob(pattern) if path.is_file())
        if not found and not set(pattern) & set("*?["):
            files = (p.relative_to(directory).as_posix() for p in directory.rglob("*.y*ml"))
            near = get_close_matches(pattern, files, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise InvalidBundle(f"{entry.where}: include {pattern!r} names no file{hint}")
        for path in found:
            if not path.resolve().is_relative_to(directory.resolve()):
                raise InvalidBundle(f"{entry.where}: include {pattern!r} leaves the project through a link")
            yield path


def _refuse_doubles(root: Node, part: Node) -> None:
    """One resource is declared in one file; two would silently become one."""
    declared = root.find(["resources"]).mapping if "resources" in root.mapping else {}
    added = part.find(["resources"]).mapping if "resources" in part.mapping else {}
    for kind, resources in added.items():
        for key, resource in resources.mapping.items():
            if kind in declared and key in declared[kind].mapping:
                first = declared[kind].mapping[key].where
                raise InvalidBundle(
                    f"{resource.where}: resources.{kind}.{key} is declared already in {first}"
                )
