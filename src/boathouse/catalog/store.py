"""Tables of the room."""

import sqlalchemy as sa

from boathouse.database import Json, metadata

securables = sa.Table(
    "bh_securables", metadata,
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(512), primary_key=True),
    sa.Column("parent", sa.String(512), nullable=False, index=True),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("comment", sa.Text, nullable=False, default=""),
    sa.Column("properties", Json, nullable=False, default=dict),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
)  # fmt: skip

grants = sa.Table(
    "bh_grants", metadata,
    sa.Column("principal", sa.String(255), primary_key=True),
    sa.Column("privilege", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("securable", sa.String(512), primary_key=True),
)  # fmt: skip

audit = sa.Table(
    "bh_audit", metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("principal", sa.String(255), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(512), nullable=False, index=True),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("details", Json, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)  # fmt: skip

functions = sa.Table(
    "bh_functions", metadata,
    sa.Column("name", sa.String(512), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("definition", Json, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
)  # fmt: skip

pins = sa.Table(
    "bh_pins", metadata,
    sa.Column("table_name", sa.String(512), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("holder", sa.String(512), primary_key=True),
)  # fmt: skip
