"""The metadata database: SQLite in the home, or PostgreSQL. Each room keeps its tables in its `store.py`."""

from boathouse.database.engine import Database, gone
from boathouse.database.facts import read_facts, write_facts
from boathouse.database.glance import Glance
from boathouse.database.held import Held
from boathouse.database.schema import Json, Name, metadata

__all__ = ["Database", "Glance", "Held", "Json", "Name", "gone", "metadata", "read_facts", "write_facts"]
