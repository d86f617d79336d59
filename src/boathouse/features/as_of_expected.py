"""What DuckDB expects of a relation before reading it: how many rows, of what types, from where."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from boathouse.features.point_in_time import quote

if TYPE_CHECKING:
    import duckdb

_SCANS = {"PARQUET_SCAN", "READ_PARQUET", "PYTHON_ARROW_SCAN", "ARROW_SCAN", "PANDAS_SCAN"}
# Bytes a value in memory, of numbers and of what has no fixed width.
_BYTES, _WIDE_BYTES = 16, 96


def expected_rows(con: "duckdb.DuckDBPyConnection", relation: str) -> int | None:
    """How many rows DuckDB expects of a relation; None where it does not say."""
    for node in _plan(con, relation):
        if said := node.get("extra_info", {}).get("Estimated Cardinality"):
            return int(said)
    return None


def expected_bytes(con: "duckdb.DuckDBPyConnection", relation: str, names: Sequence[str]) -> list[int]:
    """Bytes a value of each column while it is put in order, about."""
    kinds = types_of(con, relation, names)
    return [_BYTES if kinds[name][-1:].isalpha() and kinds[name] not in ("VARCHAR", "BLOB") else _WIDE_BYTES for name in names]


def is_scan(con: "duckdb.DuckDBPyConnection", relation: str) -> bool:
    """Whether a relation is files or a frame, and nothing is done to its rows."""
    names = {str(node["name"]).strip() for node in _plan(con, relation)} - {"PROJECTION"}
    return len(names) == 1 and names <= _SCANS


def types_of(con: "duckdb.DuckDBPyConnection", relation: str, names: Sequence[str]) -> dict[str, str]:
    """The SQL types of columns."""
    read = con.sql(f"SELECT {', '.join(map(quote, names))} FROM {relation}")
    return dict(zip(names, map(str, read.types), strict=True))


def memory_limit(con: "duckdb.DuckDBPyConnection") -> int:
    """What DuckDB may take, in bytes."""
    [(memory,)] = con.sql("SELECT parse_formatted_bytes(current_setting('memory_limit'))").fetchall()
    return int(memory)


def _plan(con: "duckdb.DuckDBPyConnection", relation: str) -> list[dict[str, Any]]:
    """The steps of a plan from its end on, as far as each follows from one."""
    [(_, plan)] = con.sql(f"EXPLAIN (FORMAT json) SELECT * FROM {relation}").fetchall()
    steps: list[dict[str, Any]] = json.loads(plan)
    while len(steps[-1].get("children", [])) == 1:
        steps += steps[-1]["children"]
    return [*steps, *steps[-1].get("children", [])]
