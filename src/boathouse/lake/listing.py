"""The files of one version, with what the Delta log tells of each; kept for as long as versions are read again."""

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from boathouse.lake.confined import confine_names
from boathouse.lake.frames import batches
from boathouse.lake.literals import duckdb_type, quoted, text
from boathouse.lake.pruning import Judge, Node, parsed

_KEPT = 32
_MOST_FILES = 50_000  # larger listings are read anew each time
_HIVE = re.compile(r"\w+")


@dataclass(frozen=True)
class Listing:
    """The data files of one version.

    `names` are paths below the table's folder, or absolute ones; `schema` is the table's; `partitions` its partition
    columns; `values` each file's partition values; `uniform` whether every file is known to hold every other column, in
    its type; `hive` whether the folders' names say the partition values.
    """

    names: tuple[str, ...]
    schema: pa.Schema
    partitions: tuple[str, ...] = ()
    values: tuple[tuple[Any, ...], ...] = ()
    uniform: bool = False
    hive: bool = False

    def only(self, places: Sequence[int]) -> "Listing":
        """The listing of some of the files."""
        values = tuple(self.values[i] for i in places) if self.values else ()
        names = tuple(self.names[i] for i in places)
        return Listing(names, self.schema, self.partitions, values, self.uniform, self.hive)


@dataclass(frozen=True)
class _Known:
    """A listing, the add actions it came from (one row a file), and what conditions left of it."""

    listing: Listing
    actions: pa.Table
    answers: dict[str, list[int] | None] = field(default_factory=dict)


class Listings:
    """Listings by table and version, and a DuckDB connection that judges their statistics."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._known: OrderedDict[tuple[str, str, int], _Known] = OrderedDict()
        self._connection: duckdb.DuckDBPyConnection | None = None

    def of(self, table: DeltaTable, where: str | None = None) -> Listing:
        """The files of a snapshot that may hold rows for which a condition is true."""
        with self._lock:
            known = self._looked_up(table)
            if not where or not known.listing.names:
                return known.listing
            if where not in known.answers:
                if len(known.answers) >= _KEPT:
                    known.answers.clear()
                known.answers[where] = self._numbers(known, where)
            numbers = known.answers[where]
            return known.listing if numbers is None else known.listing.only(numbers)

    def _looked_up(self, table: DeltaTable) -> _Known:
        key = (table.table_uri, str(table.metadata().id), table.version())
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        actions = batches(table.get_add_actions(flatten=True)).read_all()
        self._known[key] = found = _Known(self._listed(table, actions), actions)
        while len(self._known) > 1 and (
            len(self._known) > _KEPT or sum(len(k.listing.names) for k in self._known.values()) > _MOST_FILES
        ):
            self._known.popitem(last=False)
        return found

    def _listed(self, table: DeltaTable, actions: pa.Table) -> Listing:
        schema = pa.schema(table.schema().to_arrow())
        partitions = tuple(table.metadata().partition_columns)
        confine_names(table.table_uri, actions.column("path"))
        names = tuple(unquote(path) for path in actions.column("path").to_pylist())
        stored = [f"null_count.{column}" for column in schema.names if column not in partitions]
        widened = "typeWidening" in (table.protocol().reader_features or ())  # DuckDB takes the first file's types
        uniform = not widened and all(c in actions.column_names and not actions.column(c).null_count for c in stored)
        if not partitions or not names:
            return Listing(names, schema, partitions, uniform=uniform)
        values = tuple(zip(*(actions.column(f"partition.{p}").to_pylist() for p in partitions), strict=True))
        hive = all(_HIVE.fullmatch(p) for p in partitions) and self._folders_say(actions, partitions, schema)
        return Listing(names, schema, partitions, values, uniform, hive)

    def _folders_say(self, actions: pa.Table, partitions: Sequence[str], schema: pa.Schema) -> bool:
        """Whether DuckDB reads the very values of the log out of the folders' names."""
        level = "string_split(url_decode(path), '/')"
        told = [f"len({level}) = {len(partitions) + 1}"]
        for place, partition in enumerate(partitions, 1):
            name = f"{partition}="
            value = f"substr({level}[{place}], {len(name) + 1})"
            told.append(f"""starts_with({level}[{place}], {text(name)}) AND
                (CASE {value} WHEN '__HIVE_DEFAULT_PARTITION__' THEN NULL
                 ELSE TRY_CAST(url_decode({value}) AS {duckdb_type(schema.field(partition).type)}) END)
                IS NOT DISTINCT FROM {quoted("partition." + partition)}""")
        return bool(self._ask(actions, f"SELECT bool_and({' AND '.join(told)}) FROM actions")[0][0])

    def _numbers(self, known: _Known, where: str) -> list[int] | None:
        try:
            condition = parsed(self._serialized(f"SELECT 1 WHERE {where}"))
            listing, columns = known.listing, frozenset(known.actions.column_names)
            judge = Judge(listing.schema, frozenset(listing.partitions), columns, self._printed)
            judged = judge.judge(condition) if condition else None
            if judged is None:
                return None
            answers = self._ask(known.actions, f"SELECT ({judged}) IS NOT FALSE FROM actions")
            return [number for number, (keep,) in enumerate(answers) if keep]
        except duckdb.Error:
            return None  # a value that DuckDB cannot compare proves nothing; the query itself will tell

    def _serialized(self, query: str) -> str:
        return str(self._judge().execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0][0])

    def _printed(self, expression: Node) -> str:
        select = json.loads(self._serialized("SELECT 1"))
        select["statements"][0]["node"]["select_list"] = [expression]
        written = self._judge().execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(select)]).fetchall()[0][0]
        return str(written).removeprefix("SELECT ")

    def _ask(self, actions: pa.Table, query: str) -> list[Any]:
        judge = self._judge()
        judge.register("actions", actions)
        try:
            return judge.execute(query).fetchall()
        finally:
            judge.unregister("actions")

    def _judge(self) -> duckdb.DuckDBPyConnection:
        # not the caller's connection: a query there would end the result it is reading
        if self._connection is None:
            self._connection = duckdb.connect(":memory:", config={"threads": 1})
            self._connection.execute("SET TimeZone='UTC'")
        return self._connection
