"""Where rows came from, as far as it is known: the lineage of a frame while it is in memory.

An origin travels with its rows: inside a Relation, as metadata of an Arrow schema, in the `attrs` of a
pandas frame. What computes on other kinds of frames, or beside these, loses it; then it is not known.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

TAG = "boathouse.origin"


@dataclass(frozen=True)
class Origin:
    """A table at a version, or rows made out of inputs that have origins themselves.

    `query` is the DuckDB SQL that made them, each of `inputs` under the name it has there. Without a query,
    all that is known is that the inputs went in. Without a table, query and inputs nothing is known.
    """

    table: str | None = None
    version: str | None = None
    query: str | None = None
    inputs: Mapping[str, "Origin"] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all that went in is known."""
        if self.table is not None:
            return True
        return (self.query is not None or bool(self.inputs)) and all(i.complete for i in self.inputs.values())

    def tables(self) -> dict[str, str | None]:
        """Table -> version, of all tables that went in."""
        if self.table is not None:
            return {self.table: self.version}
        return {name: version for i in self.inputs.values() for name, version in i.tables().items()}

    def through(self, query: str, name: str = "rows") -> "Origin":
        """The origin of what a query over `name` makes of these rows."""
        return Origin(query=query, inputs={name: self})

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without what is empty."""
        inputs = {name: made.to_dict() for name, made in self.inputs.items()}
        body = {"table": self.table, "version": self.version, "query": self.query, "inputs": inputs}
        return {k: v for k, v in body.items() if v}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Origin":
        """From `to_dict`."""
        inputs = {str(name): cls.from_dict(made) for name, made in (body.get("inputs") or {}).items()}
        return cls(body.get("table"), body.get("version"), body.get("query"), inputs)


UNKNOWN = Origin()


def tagged(rows: pa.Table, origin: Origin) -> pa.Table:
    """The rows with their origin in the schema's metadata."""
    metadata = {k: v for k, v in (rows.schema.metadata or {}).items() if k != TAG.encode()}
    if origin != UNKNOWN:
        metadata[TAG.encode()] = tag_of(origin, rows.schema.names, rows.num_rows).encode()
    return rows.replace_schema_metadata(metadata or None)


def tag_of(origin: Origin, columns: list[str], rows: int | None) -> str:
    """An origin as text, with the shape of the rows: other columns or more rows show that something joined them.

    `rows` is None where rows stream and are not counted yet.
    """
    return json.dumps({"origin": origin.to_dict(), "columns": columns, "rows": rows})


def origin_of(frame: Any) -> Origin:
    """The origin of a frame, `UNKNOWN` where it brings none.

    A tag outlives selecting, filtering, sorting and grouping. Where columns or rows came to it from
    elsewhere, the origin holds what the tag says and is not complete.
    """
    made = getattr(frame, "origin", None)
    if isinstance(made, Origin):
        return made
    tag, columns, rows = _tag(frame)
    if not tag:
        return UNKNOWN
    try:
        body = json.loads(tag)
        origin = Origin.from_dict(body["origin"])
    except (ValueError, KeyError, TypeError, AttributeError):  # a frame may carry anything under our key
        return UNKNOWN
    counted = body.get("rows") if rows is not None else None
    if set(columns) - set(body["columns"]) or (counted is not None and rows > counted):
        return Origin(inputs={"rows": origin, "more": UNKNOWN})
    return origin if columns == body["columns"] and counted in (None, rows) else Origin(inputs={"rows": origin})


def _tag(frame: Any) -> tuple[str | bytes | None, list[str], int | None]:
    """(tag, columns, number of rows) of a frame that can carry one."""
    if isinstance(frame, pa.Table | pa.RecordBatch | pa.RecordBatchReader):
        known = (frame.schema.metadata or {}).get(TAG.encode())
        return known, frame.schema.names, getattr(frame, "num_rows", None)
    attributes = getattr(frame, "attrs", None)
    if isinstance(attributes, dict) and hasattr(frame, "columns"):
        return attributes.get(TAG), [str(c) for c in frame.columns], len(frame)
    return None, [], None
