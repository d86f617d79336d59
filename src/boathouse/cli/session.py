"""What every command starts from: the common options and a connection."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boathouse.client import Connection, Lake


@dataclass
class Options:
    """The common options, as given."""

    env: str | None = None
    home: str | None = None
    debug: bool = False


options = Options()


@contextmanager
def connected(env: str | None = None) -> "Iterator[Connection]":
    """A connection for one command that reads and writes no rows."""
    from boathouse.local import connection

    made = connection(env or options.env, home=options.home)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def lakehouse(env: str | None = None) -> "Iterator[Lake]":
    """A connection for one command that reads or writes rows, for which engines have to be imported."""
    from boathouse.local import connect

    lake = connect(env or options.env, home=options.home)
    try:
        yield lake
    finally:
        lake.close()


def project_file() -> Path | None:
    """The project file of this folder, if it is a project's."""
    from boathouse.errors import NotFound
    from boathouse.project import find

    try:
        return find(Path.cwd())
    except NotFound:
        return None


def project_here() -> str | None:
    """The project whose folder this is: its resources are meant before others of the name."""
    from boathouse.environments import declared_project

    file = project_file()
    return declared_project(file) if file else None


def end_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does: with its children ended and its home given back."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
