"""SQL over whatever a caller may read."""

from boathouse.catalog.sql.desk import SqlDesk
from boathouse.catalog.sql.result import QueryResult
from boathouse.catalog.sql.sources import tables_of

__all__ = ["QueryResult", "SqlDesk", "tables_of"]
