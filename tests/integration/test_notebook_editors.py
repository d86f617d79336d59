"""`boathouse notebook`: which editor opens what, and what a new notebook holds."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from boathouse.server.serve import free_port


def command(folder: Path, *words: str) -> subprocess.Popen[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("BOATHOUSE_", "MLFLOW_"))}
    program = str(Path(sys.executable).with_name("boathouse"))
    return subprocess.Popen([program, "--home", str(folder / "home"), "notebook", *words], cwd=folder, env=environ, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip


@pytest.mark.parametrize(("words", "said"), [
    (("a.txt",), "is no notebook"), (("cells.py",), "marimo convert cells.py"), (("a.ipynb", "--with", "marimo"), "jupyter does"),
    (("a.py", "--with", "emacs"), "--with is marimo or jupyter"),
])  # fmt: skip
def test_what_no_editor_opens_is_refused_and_nothing_is_made(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "cells.py").write_text("# %%\nprint(1)\n")
    _, error = (asked := command(tmp_path, *words)).communicate(timeout=60)
    assert (asked.returncode, said in error) == (1, True), error
    assert [p.name for p in tmp_path.iterdir()] == ["cells.py"]


@pytest.mark.skipif(find_spec("jupyterlab") is not None, reason="JupyterLab is installed here")
def test_an_editor_that_is_not_there_is_named_with_what_installs_it(tmp_path: Path) -> None:
    _, error = (asked := command(tmp_path, "a.ipynb")).communicate(timeout=60)
    assert (asked.returncode, "-m pip install jupyterlab" in error) == (1, True), error
    assert list(tmp_path.iterdir()) == []


def test_a_new_notebook_of_jupyter_is_one() -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs the extra: pip install 'boathouse[notebooks]'")
    from boathouse.cli.notebook import _ipynb

    made = nbformat.reads(_ipynb(), as_version=4)
    nbformat.validate(made)
    assert json.loads(_ipynb())["metadata"]["kernelspec"]["name"] == "python3"


@pytest.mark.skipif(find_spec("marimo") is None, reason="marimo is not installed: pip install marimo")
def test_marimo_opens_a_new_notebook_that_is_connected(tmp_path: Path) -> None:
    port = free_port()
    opened = command(tmp_path, "a.py", "--no-browser", "--port", str(port))
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
                break
            except httpx.TransportError:
                time.sleep(0.2)
    finally:
        os.killpg(opened.pid, signal.SIGINT)
        said, _ = opened.communicate(timeout=60)
    assert re.search(r"marimo works in dev of http://127\.0\.0\.1:\d+ as ", said)
    environ = {**os.environ, "BOATHOUSE_HOME": str(tmp_path / "home")}
    assert subprocess.run([sys.executable, "a.py"], cwd=tmp_path, env=environ, check=False).returncode == 0
