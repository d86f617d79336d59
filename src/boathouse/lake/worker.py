"""A process that runs users' SQL: one query at a time, each on an engine of its own, locked before the query is seen.

It is told over a socket what to run and over which files, and holds no token, no secret and no other file.
It ends when the server hangs up.
"""

import contextlib
import json
import os
import queue
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from boathouse.lake.engine import Engine
from boathouse.lake.limits import said
from boathouse.lake.origin import TAG, Origin, tag_of
from boathouse.lake.rows_out import write_rows
from boathouse.lake.wire import ROWS_BYTES, Failed, Finished, Message, NamedScan, Parse, Parsed, Run, Started, Stop, Wire

_BATCH_ROWS = 16_384
_MOMENT = 0.2
_BESIDE_DUCKDB = 2 << 30
"""Bytes for Python, Arrow and what DuckDB does not count, beyond its own limit."""

_LOCKS = (
    "SET autoinstall_known_extensions=false",
    "SET autoload_known_extensions=false",
    "SET allow_community_extensions=false",
    "SET allow_persistent_secrets=false",
    "SET allow_extension_repositories='forbidden'",
    "SET python_enable_replacements=false",
)


class Worker:
    """Serves one server until it hangs up."""

    def __init__(self, wire: Wire, memory: int, threads: int) -> None:
        self._wire = wire
        self._memory = memory
        self._threads = threads
        self._asked: queue.SimpleQueue[Parse | Run] = queue.SimpleQueue()
        self._parser = duckdb.connect(":memory:")
        self._guard = threading.Lock()
        self._running = 0
        self._stopped = 0
        self._engine: Engine
        self._makers = ThreadPoolExecutor(1)
        self._next = self._makers.submit(self._fresh)

    def serve(self) -> None:
        """Answer until the other end is gone."""
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            asked = self._asked.get()
            if isinstance(asked, Parse):
                self._wire.send(self._parsed(asked.query))
                continue
            with self._guard:
                self._engine = self._next.result()
                self._running = asked.number
            self._next = self._makers.submit(self._fresh)  # an engine takes longer to make than a small query to answer
            said = self._run(asked)
            with self._guard:
                self._running = 0
            with contextlib.suppress(duckdb.Error):
                self._engine.connection.close()
            self._wire.send(said)

    def _listen(self) -> None:
        while True:
            try:
                said = self._wire.receive()
            except (EOFError, OSError):
                os._exit(0)
            if isinstance(said, Stop):
                with self._guard:
                    self._stopped = said.number
                    if self._running == said.number:
                        self._engine.connection.interrupt()
            elif isinstance(said, Parse | Run):
                self._asked.put(said)

    def _fresh(self) -> Engine:
        engine = Engine(Path.cwd() / "spill", f"{self._memory}B")
        for lock in (*_LOCKS, f"SET threads={self._threads}"):
            engine.connection.execute(lock)
        return engine

    def _parsed(self, query: str) -> Message:
        try:
            kinds = [str(s.type).rpartition(".")[2] for s in self._parser.extract_statements(query)]
            [(tree,)] = self._parser.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
            return Parsed(kinds, str(tree).encode(), self._condition(json.loads(tree)))
        except duckdb.Error as error:
            return Failed(said(error))

    def _condition(self, tree: dict[str, Any]) -> str:
        """What the rows of the query's one table must meet, in the words of the parser."""
        if tree.get("error") or len(tree["statements"]) != 1:
            return ""
        node = tree["statements"][0]["node"]
        table = node.get("from_table") or {}
        if node["type"] != "SELECT_NODE" or table.get("type") != "BASE_TABLE" or table.get("sample") or not node["where_clause"]:
            return ""
        alone = {**node, "select_list": [_ONE], "from_table": _NOTHING, "modifiers": [], "cte_map": {"map": []},
                 "group_expressions": [], "group_sets": [], "having": None, "qualify": None, "sample": None,
                 "where_clause": _unqualified(node["where_clause"], table["alias"] or table["table_name"])}  # fmt: skip
        tree["statements"][0]["node"] = alone
        tree["statements"][0]["named_param_map"] = []
        [(written,)] = self._parser.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(tree)]).fetchall()
        found = str(written).partition(" WHERE ")
        return found[2] if found[0] == "SELECT 1" else ""

    def _run(self, job: Run) -> Message:
        try:
            return Finished(self._answered(job))
        except MemoryError:
            return Failed("out of memory", "memory", broken=True)
        except Exception as error:
            return _failure(error, stopped=self._stopped == job.number)

    def _answered(self, job: Run) -> int:
        connection = self._engine.connection
        scans = [_scan(self._engine, named) for named in job.scans]
        self._engine.lock(job.folders)
        views = [f"CREATE VIEW {n.view} AS {n.before}{scan}{n.after}" for n, scan in zip(job.scans, scans, strict=True)]
        if prepared := [*job.setup, *views]:
            connection.execute(";\n".join(prepared))
        [parsed] = connection.extract_statements(job.query)
        if parsed.type != duckdb.StatementType.SELECT:  # asked before, by the server; once more, by the engine itself
            raise duckdb.InvalidInputException(f"{parsed.type} is no query")
        relation = connection.sql(job.query, params=job.parameters)
        if job.limit is not None:
            relation = relation.limit(job.limit)
        rows = _begun(relation.to_arrow_reader(_BATCH_ROWS))
        self._wire.send(Started())

        def stopped() -> None:
            if self._stopped == job.number:
                raise duckdb.InterruptException("stopped")

        out = _Gathered(self._wire, stopped)
        tag = tag_of(Origin.from_dict(job.origin), rows.schema.names, None)
        count = write_rows(rows, job.form, out.write, {**job.metadata, TAG: tag} if job.origin else job.metadata)
        out.flush()
        return count


_ONE = {"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "query_location": 0, "query_location_length": 0,
        "literal": {"kind": "INTEGER", "text": "1"}}  # fmt: skip
_NOTHING = {"type": "EMPTY", "alias": "", "sample": None, "query_location": 0, "query_location_length": 0}


def _unqualified(node: Any, table: str) -> Any:
    """An expression over one table, its columns without the table's name."""
    if isinstance(node, list):
        return [_unqualified(part, table) for part in node]
    if not isinstance(node, dict):
        return node
    names = node.get("column_names")
    if node.get("class") == "COLUMN_REF" and names and len(names) == 2 and names[0].lower() == table.lower():
        return {**node, "column_names": names[1:]}
    return {key: _unqualified(part, table) for key, part in node.items()}


class _Gathered:
    """Small writes gathered into large frames; what waits is sent after a moment all the same."""

    def __init__(self, wire: Wire, check: Callable[[], None]) -> None:
        self._wire = wire
        self._check = check
        self._waiting = bytearray()
        self._sent = time.monotonic()

    def write(self, chunk: memoryview) -> None:
        """Raises what `check` raises, before anything more is sent."""
        self._waiting += chunk
        if len(self._waiting) >= ROWS_BYTES or time.monotonic() - self._sent > _MOMENT:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        self._check()
        if self._waiting:
            self._wire.send_rows(memoryview(self._waiting))
            self._waiting = bytearray()
        self._sent = time.monotonic()


def _begun(rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The same rows, with the first of them there: most faults show before anything is answered."""
    first = next(iter(rows), None)
    return pa.RecordBatchReader.from_batches(rows.schema, chain([first] if first is not None else [], rows))


def _scan(engine: Engine, named: NamedScan) -> str:
    if named.files is not None:
        return named.files
    if named.rows:
        return engine.register(pa.ipc.open_stream(named.rows).read_all())
    table = DeltaTable(named.location, version=named.version, storage_options=named.options)
    return engine.scan(table, named.condition or None)


def _failure(error: Exception, stopped: bool) -> Failed:
    text = said(error)
    if stopped:
        return Failed(text, "stopped")
    if isinstance(error, duckdb.FatalException | duckdb.InternalException) or text.startswith(("INTERNAL", "FATAL")):
        return Failed(text, "crash", broken=True)
    if isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory" in text:
        return Failed(text, "memory")
    return Failed(text)


class _WithoutPandas:
    """pyarrow loads pandas on the way where it is installed: seconds and memory for nothing."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Raises ModuleNotFoundError for pandas."""
        if name == "pandas":
            raise ModuleNotFoundError(name)


def main(descriptor: int, memory: int, threads: int) -> None:
    """Serve the socket that was handed over, inside limits that the kernel keeps."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory + _BESIDE_DUCKDB,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.meta_path.insert(0, _WithoutPandas())
    with contextlib.suppress(OSError):  # should the machine run out of memory, this process goes first
        Path("/proc/self/oom_score_adj").write_text("1000")
    Worker(Wire(socket.socket(fileno=descriptor)), memory, threads).serve()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
