"""Tables of the room."""

import sqlalchemy as sa

from boathouse.database import Json, Name, metadata

securables = sa.Table(
    "bh_securables", metadata,
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("name", Name, primary_key=True),
    sa.Column("parent", Name, nullable=False, index=True),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("comment", sa.Text, nullable=False, default=""),
    sa.Column("properties", Json, nullable=False, default=dict),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Index("bh_securables_owned", "owner", "kind", "name"),
)  # fmt: skip

grants = sa.Table(
    "bh_grants", metadata,
    sa.Column("principal", sa.String(255), primary_key=True),
    sa.Column("privilege", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("securable", Name, primary_key=True),
    sa.Index("bh_grants_on", "kind", "securable"),
    sa.Index("bh_grants_to", "principal", "kind", "securable"),
)  # fmt: skip

changes = sa.Table(
    "bh_access_changes", metadata,
    sa.Column("epoch", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("name", Name, nullable=False),
)  # fmt: skip
"""Whose owner or grants changed, newest last, without gaps; written in the transaction of the change."""

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

share_tables = sa.Table(
    "bh_share_tables", metadata,
    sa.Column("share", sa.String(255), primary_key=True),
    sa.Column("shared_as", sa.String(512), primary_key=True),
    sa.Column("table_name", sa.String(512), nullable=False, index=True),
    sa.Column("added_by", sa.String(255), nullable=False),
    sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
)  # fmt: skip

share_tokens = sa.Table(
    "bh_share_tokens", metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("prefix", sa.String(16), nullable=False),
    sa.Column("share", sa.String(255), nullable=False, index=True),
    sa.Column("principal", sa.String(255), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
)  # fmt: skip

places = sa.Table(
    "bh_places", metadata,
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("name", Name, primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("folded", sa.String(1024), nullable=False, index=True),
)  # fmt: skip
"""Places outside the lakehouse's storage: external locations, and what lies in them. `folded` tells overlaps."""

secrets = sa.Table(
    "bh_secrets", metadata,
    sa.Column("scope", Name, primary_key=True),
    sa.Column("key", sa.String(128), primary_key=True),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("master", sa.String(16), nullable=False),
    sa.Column("updated_by", sa.String(255), nullable=False),
    sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
)  # fmt: skip
"""`scope` is `environment.scope`; `master` names the key that `sealed` opens with."""

run_secrets = sa.Table(
    "bh_run_secrets", metadata,
    sa.Column("run_id", sa.String(32), primary_key=True),
    sa.Column("scope", Name, primary_key=True),
    sa.Column("key", sa.String(128), primary_key=True),
)  # fmt: skip
"""Which secrets a run has read: they are hidden in what it says."""
