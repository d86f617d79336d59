"""A notebook as a task: run cell by cell in a kernel of its own, and kept by the run with what the cells gave out."""

import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from boathouse.client.dbutils import DbUtils, NotebookExit
from boathouse.client.lake import Lake
from boathouse.client.notebook_source import assignments, cells_of, for_kernel
from boathouse.errors import InvalidInput, MissingExtra, NotFound, RunFailed

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ENDINGS = ("", ".ipynb", ".py")


def run_notebook(lake: Lake, path: str, arguments: list[str]) -> None:
    """Run a notebook with `--name=value` parameters; the run keeps it as .ipynb and as HTML, however it ends.

    Raises NotFound, InvalidInput for a file that is no Python notebook, RunFailed naming the cell, MissingExtra.
    """
    try:
        import nbformat
        from nbclient.exceptions import CellExecutionError, DeadKernelError
    except ImportError as error:
        raise MissingExtra("notebooks need nbclient: run `pip install 'boathouse[notebooks]'`") from error
    source = _found(path)
    parameters = dict(a.removeprefix("--").split("=", 1) for a in arguments)
    notebook = _read(source)
    _inject(notebook, parameters)
    try:
        _execute(lake, notebook, source, arguments)
    except CellExecutionError as error:
        if error.ename == NotebookExit.__name__:
            _exited(lake, notebook, str(error.evalue))
            return
        number = next(n for n, cell in enumerate(notebook.cells, 1) if _failed(cell))
        print(_COLOUR.sub("", str(error.traceback)), file=sys.stderr)
        raise RunFailed(f"{source}: cell {number} raised {error.ename}: {error.evalue}") from error
    except DeadKernelError as error:
        raise RunFailed(f"{source}: its kernel died; killed, or out of memory") from error
    finally:
        _keep(lake, nbformat.writes(notebook), notebook)


def _found(path: str) -> Path:
    for ending in _ENDINGS:
        if (file := Path(f"{path}{ending}")).is_file():
            return file
    raise NotFound(f"the task's notebook {path} is not in the project ({Path.cwd()})")


def _read(source: Path) -> Any:
    import nbformat
    from nbformat import v4

    text = source.read_text()
    if source.suffix != ".ipynb":
        make = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell}
        return v4.new_notebook(cells=[make[kind](words) for kind, words in cells_of(text)])
    try:
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, AttributeError, KeyError) as error:
        raise InvalidInput(f"{source} is no notebook: {str(error)[:200]}") from error
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = for_kernel(cell.source)
    if language != "python":
        raise InvalidInput(f"{source} is a notebook in {language}; tasks run notebooks in Python")
    return notebook


def _inject(notebook: Any, parameters: Mapping[str, str]) -> None:
    """Put the parameters after the cell that is tagged `parameters`, where there is one."""
    from nbformat import v4

    for position, cell in enumerate(notebook.cells):
        if "parameters" in cell.metadata.get("tags", ()) and parameters:
            cells = v4.new_code_cell(assignments(cell.source, parameters), metadata={"tags": ["injected-parameters"]})
            notebook.cells.insert(position + 1, cells)
            return


def _execute(lake: Lake, notebook: Any, source: Path, arguments: list[str]) -> None:
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from nbclient import NotebookClient

    class OwnKernel(KernelSpecManager):  # type: ignore[misc]
        """The one kernel there is: this interpreter, connected as the task."""

        def get_kernel_spec(self, kernel_name: str) -> Any:
            argv = [sys.executable, "-P", "-m", "boathouse.client.notebook_kernel", "{connection_file}", str(source), *arguments]
            return KernelSpec(argv=argv, language="python", display_name=kernel_name)

    class Spoken(NotebookClient):  # type: ignore[misc]
        """Says in the task's log what the cells say, as they say it."""

        def output(self, outs: Any, msg: Any, display_id: str, cell_index: int) -> Any:
            if msg["msg_type"] == "stream":
                print(msg["content"]["text"], end="", flush=True)
            return super().output(outs, msg, display_id, cell_index)

    with tempfile.TemporaryDirectory(prefix="boathouse-kernel-") as folder:
        os.environ |= {"JUPYTER_RUNTIME_DIR": folder, "IPYTHONDIR": folder, "JUPYTER_PLATFORM_DIRS": "1"}
        manager = AsyncKernelManager(kernel_spec_manager=OwnKernel(), connection_file=f"{folder}/kernel.json")
        read_end, write_end = os.pipe()
        os.write(write_end, (lake.http.token or "").encode())
        os.close(write_end)
        os.environ["BOATHOUSE_TOKEN_FD"] = str(read_end)
        client = Spoken(notebook, km=manager, timeout=None, resources={"metadata": {"path": str(Path.cwd())}})
        client.execute(pass_fds=(read_end,), env=dict(os.environ))


def _exited(lake: Lake, notebook: Any, value: str) -> None:
    """The notebook ended itself: its value is kept, and its page says so in place of a traceback."""
    from nbformat import v4

    cell = next(cell for cell in notebook.cells if _failed(cell))
    said = v4.new_output("stream", name="stdout", text=f"notebook exited: {value}\n")
    cell.outputs = [said if output.output_type == "error" else output for output in cell.outputs]
    print(said.text, end="")
    DbUtils(lake).jobs.taskValues.set("exit", value)


def _failed(cell: Any) -> bool:
    return any(output.output_type == "error" for output in cell.get("outputs", ()))


def _keep(lake: Lake, text: str, notebook: Any) -> None:
    """Hand the notebook to the run, as it is and as a page."""
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter().from_notebook_node(notebook)
    for form, content in (("ipynb", text), ("html", page)):
        lake.http.put(f"/api/v1/runs/{lake.run.run_id}/notebooks/{quote(lake.run.task or '')}?format={form}", [content.encode()])
