"""The metadata database: SQLite in the home, or PostgreSQL. Each room keeps its tables in its `store.py`."""

from boathouse.database.engine import Database
from boathouse.database.schema import Json, metadata

__all__ = ["Database", "Json", "metadata"]
