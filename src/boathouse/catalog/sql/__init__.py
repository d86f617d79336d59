"""SQL over whatever a caller may read."""

from boathouse.catalog.sql.desk import SqlDesk
from boathouse.catalog.sql.queries import Query
from boathouse.catalog.sql.reading import check_expression, check_rowwise
from boathouse.catalog.sql.result import QueryResult, RowStream
from boathouse.catalog.sql.sources import tables_of

__all__ = ["Query", "QueryResult", "RowStream", "SqlDesk", "check_expression", "check_rowwise", "tables_of"]
