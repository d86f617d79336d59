"""What a job is made of in a folder of code: files of its tasks, the project's modules that they import, and its packages."""

import ast
import hashlib
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from boathouse.environments import find_lock
from boathouse.errors import InvalidInput

_LOCK = "the lock"


def made_of(folder: Path, job: Mapping[str, Any], paths: Sequence[str] = ()) -> dict[str, str]:
    """Each part of a job -> a digest of it: with `paths` the files that they match (`*`, `**`), else what it is made of.

    Files that a task reads while it runs, and modules that it imports by a name it computes, are not seen.
    """
    if paths:
        files = {file for path in paths for file in folder.glob(path.removeprefix("./")) if file.is_file()}
    else:
        files = _with_imports(folder, _entries(folder, job))
    found = {file.relative_to(folder).as_posix(): _digest(file.read_bytes()) for file in sorted(files)}
    return found if paths else found | _packages(folder, job)


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The parts that came, went or are other than before."""
    return sorted(part for part in {*before, *after} if before.get(part) != after.get(part))


def _tasks(job: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for task in job.get("tasks") or ():
        yield (task.get("for_each_task") or {}).get("task") or task


def _entries(folder: Path, job: Mapping[str, Any]) -> Iterator[Path]:
    """The files that the tasks name, and of a wheel's task the package, where the project holds it."""
    for task in _tasks(job):
        named = (
            (task.get("spark_python_task") or {}).get("python_file"),
            (task.get("notebook_task") or {}).get("notebook_path"),
            ((task.get("sql_task") or {}).get("file") or {}).get("path"),
        )
        yield from (folder / str(path).removeprefix("./") for path in named if path)
        if package := (task.get("python_wheel_task") or {}).get("package_name"):
            name = str(package).replace("-", "_")
            yield from (file for root in _roots(folder) for file in (root / name).rglob("*.py"))


def _with_imports(folder: Path, entries: Iterable[Path]) -> set[Path]:
    """The files with all modules of the folder that they import, and those import."""
    inside, found = folder.resolve(), set[Path]()
    waiting = [file.resolve() for file in entries]
    while waiting:
        file = waiting.pop()
        if file in found or not file.is_file() or not file.is_relative_to(inside):
            continue
        found.add(file)
        if file.suffix in (".py", ".ipynb"):
            waiting += [module.resolve() for module in _imported(folder, file)]
    return {folder / file.relative_to(inside) for file in found}


def _imported(folder: Path, file: Path) -> Iterator[Path]:
    for node in (node for text in _code(file) for node in ast.walk(_parsed(text))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _modules((*_roots(folder), file.parent), alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            roots = (*_roots(folder), file.parent) if not node.level else (file.parents[node.level - 1],)
            base = (node.module or "").split(".") if node.module else []
            for alias in node.names:
                yield from _modules(roots, [*base, alias.name])


def _modules(roots: Iterable[Path], levels: Sequence[str]) -> Iterator[Path]:
    """Where a dotted name may lie: the packages on the way, and the last level as a module or a package."""
    for root in roots:
        for depth in range(1, len(levels) + 1):
            place = root.joinpath(*levels[:depth])
            yield from (place / "__init__.py", place.with_name(f"{place.name}.py"))


def _roots(folder: Path) -> tuple[Path, ...]:
    return (folder, folder / "src")


def _code(file: Path) -> Iterator[str]:
    """The Python texts in a file: all of it, or a notebook's cells."""
    text = file.read_text(errors="replace")
    if file.suffix == ".py":
        yield text
        return
    try:
        cells = json.loads(text).get("cells") or ()
    except (ValueError, AttributeError):
        return
    for cell in cells:
        if cell.get("cell_type") == "code":
            lines = "".join(cell.get("source") or ()).splitlines()
            yield "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def _parsed(text: str) -> ast.AST:
    """The tree; an empty one for what is no Python, which a run will say by itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _packages(folder: Path, job: Mapping[str, Any]) -> dict[str, str]:
    """The locks that its tasks run under, and what they have besides."""
    named = [e.get("lock") for e in job.get("environments") or ()]
    found = {}
    for name in dict.fromkeys([None, *named]):
        try:
            lock = find_lock(folder, name)
            found[name or _LOCK] = lock.hash if lock else ""
        except InvalidInput as error:
            found[name or _LOCK] = str(error)
    listed = [(e.get("spec") or {}).get("dependencies") or () for e in job.get("environments") or ()]
    libraries = [task.get("libraries") or () for task in _tasks(job)]
    found["libraries"] = _digest(json.dumps([listed, libraries], sort_keys=True, default=list).encode())
    wheels = [file for task in libraries for each in task if each.get("whl") for file in folder.glob(_plain(each["whl"]))]
    files = [folder / _plain(each["requirements"]) for task in libraries for each in task if each.get("requirements")]
    inside = [f.resolve() for f in (*wheels, *files) if f.is_file() and f.resolve().is_relative_to(folder.resolve())]
    return found | {f.relative_to(folder.resolve()).as_posix(): _digest(f.read_bytes()) for f in inside}


def _plain(path: str) -> str:
    return path.removeprefix("./")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
