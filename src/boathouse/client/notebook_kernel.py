"""The process in which a task's notebook runs: connected as the task, with the notebook's parameters at hand."""

import sys
from pathlib import Path

from boathouse.client.dbutils import DbUtils, use
from boathouse.client.notebook_magics import add_magics
from boathouse.client.task import connect


def main() -> None:
    """Connect, then serve the kernel's client until it says that it is done."""
    connection, *words = sys.argv[1:]
    lake = connect()
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance()
    app.initialize(["-f", connection, "--IPKernelApp.log_level=ERROR"])  # its warnings are not about the notebook
    sys.argv = words
    sys.path.insert(0, str(Path.cwd()))
    app.shell.push({"dbutils": use(DbUtils(lake, words[1:], words[0]))})
    add_magics(app.shell, lake, Path(words[0]))
    app.start()


if __name__ == "__main__":
    main()
