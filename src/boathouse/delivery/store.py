"""Tables of the room: what share of an endpoint a new version gets, and how it does there."""

import sqlalchemy as sa

from boathouse.database import Json, metadata

RUNNING = "RUNNING"

rollouts = sa.Table(
    "bh_rollouts", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("model", sa.String(256), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("champion", sa.Integer, nullable=False),
    sa.Column("mode", sa.String(16), nullable=False),
    sa.Column("percent", sa.Float, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("limits", Json, nullable=False),
    sa.Column("principal", sa.String(256), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("served_seconds", sa.Float, nullable=False, server_default="0"),
    sa.Column("fault", sa.Text),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
    sa.Column("reason", sa.Text),
    sa.Index("bh_rollouts_model", "model", "id"),
    sa.Index("bh_one_rollout", "model", unique=True, sqlite_where=sa.text("state = 'RUNNING'"),
             postgresql_where=sa.text("state = 'RUNNING'")),
)  # fmt: skip
"""Desired traffic: while a row is RUNNING, endpoints that follow the model's champion give `percent` to `version`."""

health = sa.Table(
    "bh_version_health", metadata,
    sa.Column("environment", sa.String(255), primary_key=True),
    sa.Column("endpoint", sa.String(255), primary_key=True),
    sa.Column("model", sa.String(256), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("role", sa.String(16), primary_key=True),
    sa.Column("opened_at", sa.BigInteger, primary_key=True),
    sa.Column("requests", sa.Integer, nullable=False),
    sa.Column("errors", sa.Integer, nullable=False),
    sa.Column("latencies", Json, nullable=False),
    sa.Index("bh_version_health_model", "model", "version", "opened_at"),
)  # fmt: skip
"""Written by whoever serves: requests, errors and latencies of a version since `opened_at`, in milliseconds."""
