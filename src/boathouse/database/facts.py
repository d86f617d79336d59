"""What the servers that share a database have to agree on, as rows: name -> value."""

from collections.abc import Mapping

import sqlalchemy as sa

from boathouse.database.engine import Database
from boathouse.database.schema import metadata

_facts = sa.Table(
    "bh_lakehouse", metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)  # fmt: skip


def read_facts(database: Database) -> dict[str, str]:
    """All of them."""
    with database.reading() as connection:
        return {row.name: row.value for row in connection.execute(sa.select(_facts))}


def write_facts(database: Database, facts: Mapping[str, str]) -> None:
    """These and no others."""
    with database.writing() as connection:
        connection.execute(_facts.delete())
        connection.execute(_facts.insert(), [{"name": name, "value": value} for name, value in facts.items()])
