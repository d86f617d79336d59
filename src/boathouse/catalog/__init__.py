"""Securables, grants and the one authorize(); guarded tables and SQL; lineage, audit, pins."""

from boathouse.catalog.access import AccessControl
from boathouse.catalog.audit import Audit
from boathouse.catalog.function_sql import creates_function, parse_create_function
from boathouse.catalog.functions import FunctionInfo, Functions
from boathouse.catalog.keys import PrimaryKeys
from boathouse.catalog.lineage import Direction, Lineage, LineageEdge, Source, Walk, kind_of, name_of
from boathouse.catalog.locations import ExternalLocation, LocationAccess, Locations
from boathouse.catalog.ownership import Ownership
from boathouse.catalog.privileges import METASTORE, PRIVILEGES, chain
from boathouse.catalog.securables import Securables
from boathouse.catalog.service import Catalog
from boathouse.catalog.shares import Recipient, SharedTable, Shares, ShareToken
from boathouse.catalog.spec import TableSpec
from boathouse.catalog.sql import Query, QueryResult, RowStream, SqlDesk, tables_of
from boathouse.catalog.table import Table, TablePort
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
    "METASTORE",
    "PRIVILEGES",
    "AccessControl",
    "Audit",
    "AuditEntry",
    "Catalog",
    "Column",
    "Direction",
    "ExternalLocation",
    "FunctionInfo",
    "Functions",
    "Grant",
    "Lineage",
    "LineageEdge",
    "LocationAccess",
    "Locations",
    "Making",
    "Ownership",
    "PrimaryKeys",
    "Query",
    "QueryResult",
    "Recipient",
    "RowStream",
    "Securable",
    "SecurableKind",
    "Securables",
    "ShareToken",
    "SharedTable",
    "Shares",
    "Source",
    "Sources",
    "SqlDesk",
    "Table",
    "TableAccess",
    "TableInfo",
    "TablePort",
    "TableSpec",
    "VolumeAccess",
    "VolumeInfo",
    "Volumes",
    "Walk",
    "chain",
    "creates_function",
    "kind_of",
    "name_of",
    "parse_create_function",
    "tables_of",
    "work",
]
