"""Tables of the room."""

import sqlalchemy as sa

from boathouse.database import metadata

feature_specs = sa.Table(
    "bh_feature_specs", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(512), nullable=False, unique=True),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sqlite_autoincrement=True,  # the id of a spec that was dropped is not given again: endpoints tell specs apart by it
)  # fmt: skip

declared_features = sa.Table(
    "bh_declared_features", metadata,
    sa.Column("name", sa.String(512), primary_key=True),
    sa.Column("definition", sa.Text, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
)  # fmt: skip

online_stores = sa.Table(
    "bh_online_stores", metadata,
    sa.Column("environment", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("url", sa.Text, nullable=False),  # sealed: it may hold a password
    sa.Column("capacity", sa.String(16), nullable=False),
    sa.Column("read_replica_count", sa.Integer, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
)  # fmt: skip
