"""Securables, grants and the one authorize(); guarded tables and SQL; lineage, audit, pins."""

from boathouse.catalog.access import AccessControl
from boathouse.catalog.audit import Audit
from boathouse.catalog.cloning import Clone, Cloner, CloneSpec
from boathouse.catalog.expectations import declared, without
from boathouse.catalog.function_sql import creates_function, parse_create_function
from boathouse.catalog.functions import FunctionInfo, Functions
from boathouse.catalog.keys import PrimaryKeys
from boathouse.catalog.lineage import (
    ALL_COLUMNS,
    KINDS,
    NEWEST,
    ColumnEdge,
    Direction,
    GraphEdge,
    GraphNode,
    Lineage,
    LineageEdge,
    LineageGraph,
    Made,
    Source,
    Spans,
    Walk,
    graph_of,
    inside,
    kind_of,
    name_of,
    nearest,
    number_of,
    only,
    parse_node,
    veiled,
    with_jobs,
)
from boathouse.catalog.locations import (
    ExternalLocation,
    LocationAccess,
    Locations,
)
from boathouse.catalog.openlineage import PRODUCER, Receiver, Vocabulary
from boathouse.catalog.ownership import Ownership
from boathouse.catalog.privileges import METASTORE, PRIVILEGES, chain, grantable
from boathouse.catalog.protection import User
from boathouse.catalog.redaction import REDACTED, forms, redacted
from boathouse.catalog.search import SEARCHED, Found, Match, Search
from boathouse.catalog.secret_keys import SecretKeys
from boathouse.catalog.secrets import SecretInfo, Secrets
from boathouse.catalog.securables import Securables
from boathouse.catalog.service import Catalog
from boathouse.catalog.shares import Recipient, SharedTable, Shares, ShareToken
from boathouse.catalog.spec import TableSpec
from boathouse.catalog.sql import Query, QueryResult, RowStream, SqlDesk, check_expression, check_rowwise, tables_of
from boathouse.catalog.system_tables import AUDIT, LINEAGE, Exported, SystemTables
from boathouse.catalog.table import Table, TablePort, check_keys
from boathouse.catalog.table_stream import COMMITTED, TableStream
from boathouse.catalog.values import (
    AuditEntry,
    Column,
    Grant,
    Making,
    Securable,
    SecurableKind,
    Sources,
    TableAccess,
    TableInfo,
)
from boathouse.catalog.volumes import VolumeAccess, VolumeInfo, Volumes
from boathouse.catalog.work import work

__all__ = [
    "ALL_COLUMNS",
    "AUDIT",
    "COMMITTED",
    "KINDS",
    "LINEAGE",
    "METASTORE",
    "NEWEST",
    "PRIVILEGES",
    "PRODUCER",
    "REDACTED",
    "SEARCHED",
    "AccessControl",
    "Audit",
    "AuditEntry",
    "Catalog",
    "Clone",
    "CloneSpec",
    "Cloner",
    "Column",
    "ColumnEdge",
    "Direction",
    "Exported",
    "ExternalLocation",
    "Found",
    "FunctionInfo",
    "Functions",
    "Grant",
    "GraphEdge",
    "GraphNode",
    "Lineage",
    "LineageEdge",
    "LineageGraph",
    "LocationAccess",
    "Locations",
    "Made",
    "Making",
    "Match",
    "Ownership",
    "PrimaryKeys",
    "Query",
    "QueryResult",
    "Receiver",
    "Recipient",
    "RowStream",
    "Search",
    "SecretInfo",
    "SecretKeys",
    "Secrets",
    "Securable",
    "SecurableKind",
    "Securables",
    "ShareToken",
    "SharedTable",
    "Shares",
    "Source",
    "Sources",
    "Spans",
    "SqlDesk",
    "SystemTables",
    "Table",
    "TableAccess",
    "TableInfo",
    "TablePort",
    "TableSpec",
    "TableStream",
    "User",
    "Vocabulary",
    "VolumeAccess",
    "VolumeInfo",
    "Volumes",
    "Walk",
    "chain",
    "check_expression",
    "check_keys",
    "check_rowwise",
    "creates_function",
    "declared",
    "forms",
    "grantable",
    "graph_of",
    "inside",
    "kind_of",
    "name_of",
    "nearest",
    "number_of",
    "only",
    "parse_create_function",
    "parse_node",
    "redacted",
    "tables_of",
    "veiled",
    "with_jobs",
    "without",
    "work",
]
