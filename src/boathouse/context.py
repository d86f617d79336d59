"""The port through which user-side rooms reach the platform: a task, a notebook and a shell all fill it.

Rooms that run in the user's process (features, training, scoring, monitoring, the client facade) take a
Context; `boathouse.connect()` makes it current. None of them knows whether a server stands behind it.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from boathouse import connector
from boathouse.catalog import Table, TableInfo
from boathouse.lake import Cluster, Engine, Frame, Origin, Relation, fitted, origin_of, tagged


@dataclass(frozen=True)
class RunFacts:
    """What code learns of the run it is in; all None in a shell."""

    run_id: str | None = None
    task: str | None = None
    commit: str | None = None
    dirty: bool = False
    lock_hash: str | None = None
    project: str | None = None
    job: str | None = None
    lock_file: str | None = None
    """Where the lock lies that this code's environment was made of."""
    python_environment: str | None = None
    """The environment's key; None is the server's own."""
    seed: int | None = None
    """What this process's random numbers began with."""
    autolog: str = "off"
    """What runs log by themselves: `light`, `full` or `off`."""


class Context(Protocol):
    """The lakehouse as one caller sees it, inside one environment."""

    @property
    def environment(self) -> str:
        """dev, staging or prod."""

    @property
    def same_machine(self) -> bool:
        """Whether this process can open files that lie on the server's disks."""

    @property
    def run(self) -> RunFacts:
        """The run this code is part of."""

    @property
    def engine(self) -> Engine:
        """The engine that computes in this process."""

    @property
    def cluster(self) -> Cluster | None:
        """The cluster that frames of features are computed on, where the setting `engine` names one."""

    def beside(self) -> "Context":
        """The same connection with an engine of its own and no cluster, for another thread."""

    def complete(self, name: str) -> str:
        """A two-level name with the environment put before it."""

    def table(self, name: str) -> Table:
        """A table. Raises NotFound, NotPermitted."""

    def table_info(self, name: str) -> TableInfo:
        """A table's description without opening it."""

    def table_exists(self, name: str) -> bool:
        """Whether the table exists and may be read."""

    def create_table(self, name: str, schema: Frame | Mapping[str, str], *, primary_keys: Sequence[str] = (),
                     event_time: str | None = None, known_time: str | None = None,
                     partition_by: Sequence[str] = (), description: str = "",
                     tags: Mapping[str, str] | None = None, column_comments: Mapping[str, str] | None = None,
                     constraints: Mapping[str, str] | None = None, properties: Mapping[str, str] | None = None,
                     exists_ok: bool = False, expectations: Mapping[str, str | Mapping[str, str]] | None = None,
                     freshness: timedelta | None = None) -> Table:  # fmt: skip
        """A new table; `properties` are Delta's. Raises AlreadyExists, InvalidInput."""

    def drop_table(self, name: str, *, force: bool = False) -> None:
        """Remove a table. Raises Conflict while something uses it, unless forced."""

    def describe_table(self, name: str, **changes: Any) -> TableInfo:
        """Change a table's description or tags."""

    def sql(self, query: str, params: Mapping[str, Any] | Sequence[Any] | None = None) -> Relation:
        """Rows of a query over what may be read."""

    def reads(self) -> dict[str, int]:
        """Table -> version, of all that this process has read so far."""

    def note_lineage(self, target: str, version: str, origin: Origin) -> None:
        """Say what `target` (for example `model:prod.flights.delay`) was made out of, as far as `origin` tells."""

    def online_folder(self) -> Path:
        """Where this environment's embedded online store lies."""

    def online_location(self, table: str, write: bool = False, store: str | None = None) -> str:
        """Where a named store is, or the one that holds a table, for whoever may read it or (`write`) publish it.

        Raises NotPermitted, NotFound.
        """

    @property
    def tracking_uri(self) -> str:
        """Where MLflow answers."""

    def point_mlflow_here(self) -> None:
        """Send this process's MLflow calls to the lakehouse's server, under the caller's token."""

    def table_to_publish(self, name: str, store: str) -> tuple[Table, str]:
        """A table, and where a named online store is, for whoever may publish it there. Raises NotFound, NotPermitted."""

    def monitor(self, name: str) -> dict[str, Any]:
        """A deployed monitor's definition."""

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """A request to the API of this installation, under the caller's identity."""


_current: ContextVar[Context | None] = ContextVar("boathouse-context", default=None)
_open: list[Context] = []


def current() -> Context:
    """The context that `boathouse.connect()` made, connecting now if none is."""
    if context := in_process():
        return context
    made: Context = connector.connect()
    return made


def in_process() -> Context | None:
    """The context that is open already, if one is."""
    chosen = _current.get()
    return chosen if chosen in _open else (_open[-1] if _open else None)


def use(context: Context) -> None:
    """Make a context the one that this process's code finds."""
    _current.set(context)
    if context not in _open:
        _open.append(context)


def forget(context: Context) -> None:
    """A context was closed, by whatever thread."""
    if context in _open:
        _open.remove(context)


def arrow(df: Frame) -> pa.Table:
    """A frame's rows as one Arrow table in Delta's types, with their origin where the frame knows it."""
    return tagged(fitted(df, "the frame"), origin_of(df))
