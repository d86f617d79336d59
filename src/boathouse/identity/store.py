"""Tables of the room. Columns that came later may be null: rows of before do not have them."""

import sqlalchemy as sa

from boathouse.database import Json, metadata

principals = sa.Table(
    "bh_principals", metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("disabled_at", sa.DateTime(timezone=True)),
)  # fmt: skip

members = sa.Table(
    "bh_group_members", metadata,
    sa.Column("group_name", sa.String(255), sa.ForeignKey("bh_principals.name", ondelete="CASCADE"), primary_key=True),
    sa.Column("member", sa.String(255), primary_key=True, index=True),
)  # fmt: skip

tokens = sa.Table(
    "bh_tokens", metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("principal", sa.String(255), nullable=False),
    sa.Column("comment", sa.String(255), nullable=False, default=""),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True)),
    sa.Column("environment", sa.String(255)),
    sa.Column("run_id", sa.String(64), index=True),
    sa.Column("commit_id", sa.String(64)),
    sa.Column("scratch", sa.String(64)),
    sa.Column("prefix", sa.String(16)),
    sa.Column("created_by", sa.String(255)),
    sa.Column("last_used_at", sa.DateTime(timezone=True)),
    # origin: null: made by hand; "login": for the command line; "workload": exchanged; "run_as": lent to a run
    sa.Column("origin", sa.String(32)),
)  # fmt: skip

passwords = sa.Table(
    "bh_passwords", metadata,
    sa.Column("principal", sa.String(255), primary_key=True),
    sa.Column("hash", sa.String(512), nullable=False),
    sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
)  # fmt: skip

attempts = sa.Table(
    "bh_login_attempts", metadata,
    sa.Column("key", sa.String(80), primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last_at", sa.DateTime(timezone=True), nullable=False, index=True),
    sa.Column("not_before", sa.DateTime(timezone=True)),
    sa.Column("succeeded_at", sa.DateTime(timezone=True)),
)  # fmt: skip

sessions = sa.Table(
    "bh_sessions", metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("principal", sa.String(255), nullable=False, index=True),
    sa.Column("method", sa.String(32), nullable=False),
    sa.Column("token_id", sa.String(32), index=True),  # the token that opened it: revoked, it takes the session with it
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("agent", sa.String(255), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
)  # fmt: skip

codes = sa.Table(
    "bh_login_codes", metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("purpose", sa.String(32), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, index=True),
    sa.Column("data", Json, nullable=False),
)  # fmt: skip

external_users = sa.Table(
    "bh_external_users", metadata,
    sa.Column("issuer", sa.String(255), primary_key=True),
    sa.Column("subject", sa.String(255), primary_key=True),
    sa.Column("principal", sa.String(255), nullable=False, index=True),
    sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
)  # fmt: skip

workloads = sa.Table(
    "bh_workloads", metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("principal", sa.String(255), nullable=False, index=True),
    sa.Column("issuer", sa.String(255), nullable=False, index=True),
    sa.Column("audience", sa.String(255), nullable=False),
    sa.Column("subject", sa.String(512), nullable=False),
    sa.Column("claims", Json, nullable=False),
    sa.Column("environment", sa.String(255)),
)  # fmt: skip

epoch = sa.Table(
    "bh_identity_epoch", metadata,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),  # the table's only row
    sa.Column("epoch", sa.BigInteger, nullable=False),
)  # fmt: skip
