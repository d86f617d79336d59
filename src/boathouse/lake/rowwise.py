"""SQL conditions asked of rows in memory, by an engine that opens nothing and changes no setting."""

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache

import duckdb
import pyarrow as pa

from boathouse.errors import InvalidInput
from boathouse.lake.engine import Engine

_REMEMBERED = 512


@lru_cache(_REMEMBERED)
def parsed(expression: str) -> tuple[bytes, list[str]]:
    """`SELECT (expression)` as DuckDB's parser has it, and the kinds of its statements. Raises InvalidInput."""
    query = f"SELECT ({expression}\n)"
    with duckdb.connect(":memory:") as parser:
        try:
            kinds = [str(s.type).rpartition(".")[2] for s in parser.extract_statements(query)]
            [(tree,)] = parser.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
        except duckdb.Error as error:
            raise InvalidInput(str(error).splitlines()[0]) from error
    return str(tree).encode(), kinds


def met(rows: pa.Table, conditions: Mapping[str, str]) -> dict[str, pa.Array]:
    """For each condition by its name, of each row in order, whether it is true; null is not.

    Whoever calls has looked at the conditions. Raises InvalidInput, naming one that these rows do not answer.
    """
    engine = Engine()
    with engine.connection as connection:
        connection.execute("SET preserve_insertion_order=true")
        engine.lock([])
        scan = engine.register(rows)
        found = {}
        for name, condition in conditions.items():
            try:
                answers = connection.sql(f"SELECT coalesce(({condition}\n)::BOOLEAN, false) AS met FROM {scan}").to_arrow_table()
            except duckdb.Error as error:
                raise InvalidInput(f"{name!r} cannot be asked: {str(error).splitlines()[0]}") from error
            found[name] = answers.column("met").combine_chunks()
    return found


def broken_by(rows: pa.RecordBatchReader, conditions: Mapping[str, str]) -> dict[str, int]:
    """How many rows break each condition, of those that are broken. Null breaks none, and a condition that these rows do not
    answer is left out."""
    engine = Engine()
    with engine.connection as connection:
        engine.lock([])
        empty, asked = engine.register(rows.schema.empty_table()), dict[str, str]()
        for name, condition in conditions.items():
            with suppress(duckdb.Error):
                connection.sql(f"SELECT ({condition}\n)::BOOLEAN FROM {empty}")
                asked[name] = f"count(*) FILTER (WHERE NOT ({condition}\n))"
        if not asked:
            return {}
        try:
            counts = connection.sql(f"SELECT {', '.join(asked.values())} FROM {engine.register(rows)}").fetchall()[0]
        except duckdb.Error:
            return {}
    return {name: count for name, count in zip(asked, counts, strict=True) if count}
