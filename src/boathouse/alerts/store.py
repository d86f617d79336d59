"""Tables of the room."""

import sqlalchemy as sa

from boathouse.database import Json, metadata

incidents = sa.Table(
    "bh_incidents", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("environment", sa.String(255), nullable=False, index=True),
    sa.Column("alert", sa.String(255), nullable=False),
    sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("closed_at", sa.DateTime(timezone=True)),
    sa.Column("acknowledged_by", sa.String(255)),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("windows", Json, nullable=False),
    sa.Column("run_id", sa.String(32)),
)  # fmt: skip

judgements = sa.Table(
    "bh_alert_judgements", metadata,
    sa.Column("environment", sa.String(255), primary_key=True),
    sa.Column("alert", sa.String(255), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("muted_until", sa.DateTime(timezone=True)),
)  # fmt: skip
