"""`boathouse notebook`: an editor of notebooks that is connected to the environment."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import typer

from boathouse.cli.output import say
from boathouse.cli.session import connected
from boathouse.errors import InvalidInput, MissingExtra

_MODULES = {"marimo": "marimo", "jupyter": "jupyterlab"}
_QUERY = "SELECT table_schema, table_name FROM information_schema.tables"
_MARIMO = f'''import marimo

app = marimo.App()


@app.cell
def _():
    import boathouse

    lake = boathouse.connect()
    return (lake,)


@app.cell
def _(lake):
    lake.sql("{_QUERY}").to_pandas()
    return


if __name__ == "__main__":
    app.run()
'''
_CELLS = ("import boathouse\n\nlake = boathouse.connect()", f'lake.sql("{_QUERY}").to_pandas()')


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command()(notebook)


def notebook(
    file: Path | None = typer.Argument(None, help="a .py (marimo) or .ipynb notebook, new or old; else the folder"),
    editor: str = typer.Option("", "--with", help="marimo or jupyter; without it by the file's name and what is installed"),
    port: int = typer.Option(0, "--port", help="of the editor; 0 for one that is free"),
    browser: bool = typer.Option(True, "--browser/--no-browser", help="open it, or only print the address"),
) -> None:
    """Open a notebook in marimo or Jupyter; `boathouse.connect()` in it needs no arguments. Ctrl-C ends the editor.

    It works as you, in the environment that --env names. Where no server runs on the home, this command keeps the home open
    until the editor ends.
    """
    chosen = _editor(editor, file)
    if file and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_MARIMO if file.suffix == ".py" else _ipynb())
        say(f"{file} is new")
    with connected() as lake:
        environ = {**os.environ, "BOATHOUSE_URL": lake.http.url, "BOATHOUSE_TOKEN": lake.http.token or "",
                   "BOATHOUSE_ENV": lake.environment}  # fmt: skip
        say(f"{chosen} works in {lake.environment} of {lake.http.url} as {lake.principal}")
        try:
            ended = subprocess.run(_command(chosen, file, port, browser), env=environ, check=False).returncode
        except KeyboardInterrupt:
            return
    if ended not in (0, 130, -2):
        raise InvalidInput(f"{chosen} ended with exit code {ended}; it said why above")


def _editor(asked: str, file: Path | None) -> str:
    """Which editor opens the file. Raises InvalidInput, MissingExtra."""
    if asked and asked not in _MODULES:
        raise InvalidInput(f"--with is marimo or jupyter, not {asked!r}")
    if file and file.suffix not in (".py", ".ipynb"):
        raise InvalidInput(f"{file} is no notebook: its name ends with .py (marimo) or .ipynb (Jupyter)")
    fitting = {".py": "marimo", ".ipynb": "jupyter"}.get(file.suffix) if file else None
    if asked and fitting and asked != fitting:
        raise InvalidInput(f"{asked} does not open {file}: {fitting} does, and takes no --with")
    if file and file.suffix == ".py" and file.exists() and "marimo.App" not in file.read_text():
        raise InvalidInput(f"{file} is no notebook of marimo; its cells are for editors that know `# %%`, or turn it into one "
                           f"with `marimo convert {file} -o NEW.py`")  # fmt: skip
    wanted = asked or fitting or next((name for name, module in _MODULES.items() if find_spec(module)), "marimo")
    if not find_spec(_MODULES[wanted]):
        raise MissingExtra(f"{wanted} is not installed: run `{sys.executable} -m pip install {_MODULES[wanted]}`")
    return wanted


def _command(editor: str, file: Path | None, port: int, browser: bool) -> list[str]:
    place = str(file or ".")
    if editor == "marimo":
        return [sys.executable, "-m", "marimo", "--yes", "edit", place, "--no-sandbox", "--skip-update-check",
                *(["--port", str(port)] if port else []), *([] if browser else ["--headless"])]  # fmt: skip
    return [sys.executable, "-m", "jupyterlab", place, *(["--port", str(port)] if port else []),
            *([] if browser else ["--no-browser"])]  # fmt: skip


def _ipynb() -> str:
    cells: list[dict[str, object]] = []
    for number, text in enumerate(_CELLS):
        cells.append({"cell_type": "code", "id": f"cell-{number}", "execution_count": None, "metadata": {}, "outputs": [],
                      "source": text})  # fmt: skip
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"
