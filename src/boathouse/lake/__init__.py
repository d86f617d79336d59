"""Raw Delta tables, files and engines. Knows no names and no users: others reach data through `catalog`."""

from boathouse.lake.chunks import Chunks
from boathouse.lake.clause import SOURCE, TARGET, Clause
from boathouse.lake.cluster import Cluster, cluster_at
from boathouse.lake.commits import UNCHANGED, Commit
from boathouse.lake.delta import DeltaFolder
from boathouse.lake.engine import Engine
from boathouse.lake.exchange import packed, unpacked
from boathouse.lake.file_folder import PART, FileContent, FileFolder, FileInfo, FilePage, check_path
from boathouse.lake.files import InputFile, ReadOptions, Staging, Typing, find_files, is_input, local_file
from boathouse.lake.foreseen import Judge, carried, completed
from boathouse.lake.frames import (
    Frame,
    Stream,
    batches,
    conform,
    fitted,
    is_spark,
    normalised,
    schema_of,
)
from boathouse.lake.links import link
from boathouse.lake.literals import duckdb_type, quoted, text
from boathouse.lake.location import canonical, folded, overlap, within
from boathouse.lake.manifest import Manifest, ManifestFile, manifest, schema_json
from boathouse.lake.merging import change_chosen, merge, source_schema, update
from boathouse.lake.origin import TAG, UNKNOWN, Origin, origin_of, tag_of, tagged
from boathouse.lake.received import relation_over
from boathouse.lake.relation import Relation
from boathouse.lake.rows_out import write_rows
from boathouse.lake.rowwise import met, parsed
from boathouse.lake.schemas import column_types, schema_named, sql_type, type_named
from boathouse.lake.snapshot import parquet_sql
from boathouse.lake.spooling import spooled
from boathouse.lake.storage import Storage, local_path, storage_at
from boathouse.lake.storages import Storages, storages
from boathouse.lake.sts import Credentials, assume
from boathouse.lake.vacuum import Vacuumed
from boathouse.lake.wire import NamedScan, Run
from boathouse.lake.workers import QueryFailed, WorkerPool, WorkerProcess

__all__ = [
    "PART",
    "SOURCE",
    "TAG",
    "TARGET",
    "UNCHANGED",
    "UNKNOWN",
    "Chunks",
    "Clause",
    "Cluster",
    "Commit",
    "Credentials",
    "DeltaFolder",
    "Engine",
    "FileContent",
    "FileFolder",
    "FileInfo",
    "FilePage",
    "Frame",
    "InputFile",
    "Judge",
    "Manifest",
    "ManifestFile",
    "NamedScan",
    "Origin",
    "QueryFailed",
    "ReadOptions",
    "Relation",
    "Run",
    "Staging",
    "Storage",
    "Storages",
    "Stream",
    "Typing",
    "Vacuumed",
    "WorkerPool",
    "WorkerProcess",
    "assume",
    "batches",
    "canonical",
    "carried",
    "change_chosen",
    "check_path",
    "cluster_at",
    "column_types",
    "completed",
    "conform",
    "duckdb_type",
    "find_files",
    "fitted",
    "folded",
    "is_input",
    "is_spark",
    "link",
    "local_file",
    "local_path",
    "manifest",
    "merge",
    "met",
    "normalised",
    "origin_of",
    "overlap",
    "packed",
    "parquet_sql",
    "parsed",
    "quoted",
    "relation_over",
    "schema_json",
    "schema_named",
    "schema_of",
    "source_schema",
    "spooled",
    "sql_type",
    "storage_at",
    "storages",
    "tag_of",
    "tagged",
    "text",
    "type_named",
    "unpacked",
    "update",
    "within",
    "write_rows",
]
