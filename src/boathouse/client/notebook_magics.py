"""What cells may say besides Python: SQL, another notebook, and packages, which are there already."""

import json
from pathlib import Path
from typing import Any

from boathouse.client.lake import Lake
from boathouse.client.notebook_source import cells_of, for_kernel
from boathouse.errors import NotFound

_ENDINGS = ("", ".py", ".ipynb")


def add_magics(shell: Any, lake: Lake, notebook: Path) -> None:
    """Let a kernel's cells say `%sql`, `%run` and `%pip`, as notebooks of other platforms do."""

    def sql(line: str, cell: str = "") -> Any:
        """One statement; its rows are shown, and stay as the data frame `_sqldf`."""
        rows = lake.sql(f"{line}\n{cell}".strip().rstrip(";")).to_pandas()
        shell.push({"_sqldf": rows})
        return rows

    def run(line: str) -> None:
        """Another notebook or Python file in this one's place; its path counts from this one's folder."""
        path = line.strip().strip("\"'")
        for code in _code(_found(notebook.parent / path)):
            shell.run_cell(code).raise_error()

    def pip(line: str) -> None:
        """Nothing is installed by a notebook that runs as a task."""
        print(f"`%pip {line}` is passed over: a task's packages come from the project's lock, or its `libraries`")

    shell.register_magic_function(sql, "line_cell", "sql")
    shell.register_magic_function(run, "line", "run")
    shell.register_magic_function(pip, "line", "pip")


def _found(path: Path) -> Path:
    for ending in _ENDINGS:
        if (file := path.with_name(path.name + ending)).is_file():
            return file
    raise NotFound(f"%run: there is no notebook {path}")


def _code(file: Path) -> list[str]:
    if file.suffix != ".ipynb":
        return [source for kind, source in cells_of(file.read_text()) if kind == "code"]
    cells = json.loads(file.read_text())["cells"]
    return [for_kernel("".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
