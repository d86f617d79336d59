"""What an UPDATE or a MERGE would write, known before it is committed: by the engine that commits, of the snapshot it changes."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from boathouse.errors import InvalidInput
from boathouse.lake.clause import SOURCE, TARGET, Clause
from boathouse.lake.frames import batches, conform
from boathouse.lake.literals import quoted

Judge = Callable[[pa.Table, pa.Table], pa.Table]
"""Given what tells rows apart, and the rows as they would be written, what tells those apart that may be; raises for none."""

_STAGED, _INDEX, _ROW, _KEPT = "staged", "_boathouse_index", "_boathouse_row", "_boathouse_kept"


def updated(table: DeltaTable, values: Mapping[str, str], where: str | None, keys: Sequence[str], name: str
            ) -> tuple[pa.Table, pa.Table]:  # fmt: skip
    """The rows that an UPDATE changes: their keys as they are now (`old …`), and the rows as they will be."""
    schema = _schema(table)
    made = ", ".join(f"{values.get(c, quoted(c))} AS {quoted(c)}" for c in schema.names)
    old = "".join(f", {quoted(k)} AS {quoted(f'old {k}')}" for k in keys)
    query = f"SELECT {made}{old} FROM {TARGET}" + (f" WHERE {where}" if where else "")
    found = batches(QueryBuilder().register(TARGET, table).execute(query)).read_all()
    fields = [pa.field(f"old {k}", schema.field(k).type) for k in keys]
    known = conform(found.select([f.name for f in fields]), pa.schema(fields), name).read_all() if fields else found.select([])
    return known, conform(found.select(schema.names), schema, name).read_all()


def allowed(table: DeltaTable, source: pa.Table, predicate: str, clauses: Sequence[Clause], judge: Judge, name: str
            ) -> tuple[pa.Table, list[Clause]]:  # fmt: skip
    """A MERGE without the rows of the source that would write what the judge leaves out.

    Raises InvalidInput where those cannot be left out one by one.
    """
    found, rows = _merged(table, source, predicate, clauses, name)
    kept = judge(found, rows)
    if kept.num_rows == found.num_rows:
        return source, list(clauses)
    left = found.filter(pc.invert(pc.is_in(found.column(_INDEX), kept.column(_INDEX).combine_chunks())))
    numbers = left.column(_ROW).combine_chunks()
    if numbers.null_count or pc.any(pc.is_in(kept.column(_ROW), numbers)).as_py():
        raise InvalidInput(
            f"{name}: rows that fail an expectation cannot be left out of this MERGE, because they have no row of the source "
            "to themselves: nothing was written; leave them out by conditions"
        )
    # an unmatched row goes; a matched one stays, or its target would count as not matched by the source
    gone = left.filter(pc.invert(left.column("matched"))).column(_ROW).combine_chunks()
    stays = left.filter(left.column("matched")).column(_ROW).combine_chunks()
    ordinals = pa.array(range(source.num_rows), pa.int64())
    source = source.append_column(_KEPT, pc.invert(pc.is_in(ordinals, stays))).filter(pc.invert(pc.is_in(ordinals, gone)))
    only = f"{SOURCE}.{quoted(_KEPT)}"
    return source, [
        replace(c, condition=f"({c.condition}) AND {only}" if c.condition else only) if c.on == "matched" else c for c in clauses
    ]


def completed(table: DeltaTable, rows: pa.Table, keys: Sequence[str], name: str) -> pa.Table:
    """The rows with the columns they lack, as the table's rows of the same keys hold them; null where it has no such row."""
    schema = _schema(table)
    given = conform(rows, pa.schema([f for f in schema if f.name in rows.column_names]), name).read_all()
    predicate = " AND ".join(f"{TARGET}.{quoted(key)} = {SOURCE}.{quoted(key)}" for key in keys)
    values = {c: f"{SOURCE}.{quoted(c)}" for c in given.column_names}
    clauses = [Clause("matched", "update", values=values), Clause("not_matched", "insert", values=values)]
    found, whole = _merged(table, given, predicate, clauses, name)
    _, first = np.unique(found.column(_ROW).to_numpy(), return_index=True)  # in the order of the rows, each once
    return whole.take(first)


def carried(table: DeltaTable, rows: pa.Table, keys: Sequence[str], known: str, name: str) -> pa.Table:
    """The rows with the columns they lack, as they were known then: as the newest row of the same keys holds them of those
    whose known time is not after theirs; null where there is none. `known` is the column of that time, one of the keys.
    """
    schema, given = _schema(table), pa.schema([f for f in _schema(table) if f.name in rows.column_names])
    fitting = conform(rows.select(given.names), given, name).read_all()
    absent = [c for c in schema.names if c not in given.names]
    same = [f"{TARGET}.{quoted(key)} = {SOURCE}.{quoted(key)}" for key in keys if key != known]
    when = [f"{part}.{quoted(known)}" for part in (TARGET, SOURCE)]
    columns = ", ".join(f"{TARGET}.{quoted(c)} AS {quoted(c)}" for c in absent)
    rank = f"row_number() OVER (PARTITION BY {SOURCE}.{quoted(_ROW)} ORDER BY {when[0]} DESC) AS {quoted(_INDEX)}"
    with _staged(table, fitting) as (asked, source):
        query = (f"SELECT * FROM (SELECT {SOURCE}.{quoted(_ROW)}, {columns}, {rank} FROM {TARGET} JOIN {source} "
                 f"ON {' AND '.join([*same, ' <= '.join(when)])}) AS found WHERE {quoted(_INDEX)} = 1")  # fmt: skip
        found = batches(asked.execute(query)).read_all()
    at = pc.index_in(pa.array(range(rows.num_rows), pa.int64()), found.column(_ROW).cast(pa.int64()).combine_chunks())
    held = conform(found.select(absent), pa.schema([schema.field(c) for c in absent]), name).read_all().take(at)
    whole = {c: (held if c in absent else fitting).column(c) for c in schema.names}
    return pa.table({**whole, **{c: rows.column(c) for c in rows.column_names if c not in whole}})


@contextmanager
def _staged(table: DeltaTable, source: pa.Table) -> Iterator[tuple[QueryBuilder, str]]:
    """What asks the table beside numbered rows, and SQL of those."""
    given = [*source.column_names, _ROW]
    numbered = source.append_column(_ROW, pa.array(range(source.num_rows), pa.int64()))
    columns = ", ".join(f"c{i} AS {quoted(c)}" for i, c in enumerate(given))
    with tempfile.TemporaryDirectory(prefix="boathouse-merge-") as place:
        write_deltalake(place, numbered.rename_columns([f"c{i}" for i in range(len(given))]))
        asked = QueryBuilder().register(TARGET, table).register(_STAGED, DeltaTable(place))
        yield asked, f"(SELECT {columns} FROM {_STAGED}) AS {SOURCE}"


def _merged(table: DeltaTable, source: pa.Table, predicate: str, clauses: Sequence[Clause], name: str
            ) -> tuple[pa.Table, pa.Table]:  # fmt: skip
    """What a MERGE writes, and for each row its index, its row of the source (null for none) and whether that is matched."""
    schema = _schema(table)
    parts: list[pa.Table] = []
    told: list[pa.Table] = []
    with _staged(table, source) as (asked, rows_sql):
        for i, clause in enumerate(clauses):
            if clause.action == "delete":
                continue
            query = _query(clause, clauses[:i], rows_sql, predicate, schema)
            found = batches(asked.execute(query)).read_all()
            parts.append(conform(found.drop_columns([_ROW]), schema, name).read_all())
            matched = pa.array([clause.on == "matched"] * found.num_rows, pa.bool_())
            told.append(pa.table({_ROW: found.column(_ROW).cast(pa.int64()), "matched": matched}))
    rows, tags = pa.concat_tables(parts), pa.concat_tables(told)
    return tags.append_column(_INDEX, pa.array(range(tags.num_rows), pa.int64())), rows


def _query(clause: Clause, earlier: Sequence[Clause], source: str, predicate: str, schema: pa.Schema) -> str:
    values = clause.values or {}
    absent = "NULL" if clause.action == "insert" else TARGET
    made = [f"{values[c] if c in values else absent if absent == 'NULL' else f'{TARGET}.{quoted(c)}'} AS {quoted(c)}"
            for c in schema.names]  # fmt: skip
    row = "CAST(NULL AS BIGINT)" if clause.on == "not_matched_by_source" else f"{SOURCE}.{quoted(_ROW)}"
    joined = {
        "matched": f"{TARGET} JOIN {source}", "not_matched": f"{source} LEFT ANTI JOIN {TARGET}",
        "not_matched_by_source": f"{TARGET} LEFT ANTI JOIN {source}",
    }[clause.on]  # fmt: skip
    only = [f"({clause.condition})"] if clause.condition else []
    only += [f"NOT COALESCE({c.condition or 'true'}, false)" for c in earlier if c.on == clause.on]
    where = f" WHERE {' AND '.join(only)}" if only else ""
    return f"SELECT {', '.join(made)}, {row} AS {quoted(_ROW)} FROM {joined} ON {predicate}{where}"


def _schema(table: DeltaTable) -> pa.Schema:
    return pa.schema([f.with_nullable(True) for f in pa.schema(table.schema().to_arrow())])
