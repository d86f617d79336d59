"""Tables of the room."""

import sqlalchemy as sa

from boathouse.database import metadata

endpoint_states = sa.Table(
    "bh_endpoint_states", metadata,
    sa.Column("environment", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("model", sa.String(512), nullable=False),
    sa.Column("wanted_version", sa.Integer),
    sa.Column("served_version", sa.Integer),
    sa.Column("reason", sa.Text),
    sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
)  # fmt: skip

served_versions = sa.Table(
    "bh_served_versions", metadata,
    sa.Column("environment", sa.String(255), primary_key=True),
    sa.Column("endpoint", sa.String(255), primary_key=True),
    sa.Column("slot", sa.String(255), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("percent", sa.Float, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("wanted_version", sa.Integer),
    sa.Column("version", sa.Integer),
    sa.Column("port", sa.Integer),
    sa.Column("pid", sa.Integer),
    sa.Column("pid_started", sa.String(32)),
    sa.Column("reason", sa.Text),
    sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
)  # fmt: skip
"""One row for each process of an endpoint."""
