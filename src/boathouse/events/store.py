"""Tables of the room."""

import sqlalchemy as sa

from boathouse.database import Json, metadata

outbox = sa.Table(
    "bh_outbox", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(512), nullable=False),
    sa.Column("data", Json, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("delivered_at", sa.DateTime(timezone=True)),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("last_error", sa.Text),
    sa.Index("bh_outbox_undelivered", "delivered_at", "id"),
)  # fmt: skip
_FAILED = outbox.c.last_error.is_not(None)
sa.Index("bh_outbox_failed", outbox.c.id, sqlite_where=_FAILED, postgresql_where=_FAILED)

webhooks = sa.Table(
    "bh_webhooks", metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("environment", sa.String(255), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("events", Json, nullable=False),
    sa.Column("creator", sa.String(256), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("failing_since", sa.DateTime(timezone=True)),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_try", sa.DateTime(timezone=True)),
    sa.UniqueConstraint("environment", "name"),
)  # fmt: skip

deliveries = sa.Table(
    "bh_webhook_deliveries", metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(36), nullable=False),
    sa.Column("webhook", sa.String(32), nullable=False),
    sa.Column("event", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(512), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.Text),
    sa.Index("bh_webhook_deliveries_webhook", "webhook", "number"),
)  # fmt: skip

notifications = sa.Table(
    "bh_notifications", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(900), nullable=False, unique=True),
    sa.Column("environment", sa.String(255), nullable=False, index=True),
    sa.Column("occasion", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(512), nullable=False),
    sa.Column("channel", sa.String(16), nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("principal", sa.String(255), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("body", Json, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_try", sa.DateTime(timezone=True)),
    sa.Column("sent_at", sa.DateTime(timezone=True)),
    sa.Column("last_error", sa.Text),
    sa.Index("bh_notifications_due", "state", "next_try"),
)  # fmt: skip
"""`address` as the project file has it: secrets in it are read when it is sent, and not kept."""
