"""The process in which a task's notebook runs: connected as the task, with the notebook's parameters at hand."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from boathouse.client.task import connect
from boathouse.errors import NotFound


class Widgets:
    """The notebook's parameters by the published calls: `dbutils.widgets.get("days")`."""

    def __init__(self, given: dict[str, str]) -> None:
        self._given = given
        self._defaults: dict[str, str] = {}

    def text(self, name: str, defaultValue: str = "", label: str | None = None) -> None:
        """Declare a parameter with its default."""
        self._defaults[name] = str(defaultValue)

    def dropdown(self, name: str, defaultValue: str, choices: Any, label: str | None = None) -> None:
        """Declare a parameter with its default; the choices are for people."""
        self.text(name, defaultValue)

    combobox = multiselect = dropdown

    def get(self, name: str) -> str:
        """A parameter's value. Raises NotFound for one that is neither given nor declared."""
        try:
            return self.getAll()[name]
        except KeyError:
            known = ", ".join(self.getAll()) or "none"
            raise NotFound(f"no parameter {name!r} is given or declared; there are {known}") from None

    def getAll(self) -> dict[str, str]:
        """All parameters."""
        return {**self._defaults, **self._given}


def main() -> None:
    """Connect, then serve the kernel's client until it says that it is done."""
    connection, *words = sys.argv[1:]
    connect()
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance()
    app.initialize(["-f", connection])
    sys.argv = words
    sys.path.insert(0, str(Path.cwd()))
    given = dict(word.removeprefix("--").split("=", 1) for word in words[1:])
    app.shell.push({"dbutils": SimpleNamespace(widgets=Widgets(given))})
    app.start()


if __name__ == "__main__":
    main()
