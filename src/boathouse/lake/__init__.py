"""Raw Delta tables, files and engines. Knows no names and no users: others reach data through `catalog`."""

from boathouse.lake.delta import UNCHANGED, Commit, DeltaFolder
from boathouse.lake.engine import Engine, parquet_sql
from boathouse.lake.frames import Frame, batches, column_types, conform, fitted, normalised, schema_of
from boathouse.lake.relation import Relation

__all__ = [
    "UNCHANGED", "Commit", "DeltaFolder", "Engine", "Frame", "Relation", "batches", "column_types", "conform", "fitted",
    "normalised", "parquet_sql", "schema_of",
]  # fmt: skip
