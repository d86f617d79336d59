"""Tables of the room. Columns that came later may be null: rows of before do not have them."""

import sqlalchemy as sa

from boathouse.database import metadata

principals = sa.Table(
    "bh_principals", metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("disabled_at", sa.DateTime(timezone=True)),
)  # fmt: skip

members = sa.Table(
    "bh_group_members", metadata,
    sa.Column("group_name", sa.String(255), sa.ForeignKey("bh_principals.name", ondelete="CASCADE"), primary_key=True),
    sa.Column("member", sa.String(255), primary_key=True),
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
    sa.Column("origin", sa.String(32)),  # null: made by hand; "login": for the command line; "workload": exchanged
)  # fmt: skip
