"""Tables of lineage. Writes are kept even without sources: one that replaces everything cuts what was before.

`number` is the version as a number, -1 where it is none or no number: indexes find both, NULL they would not.
"""

import sqlalchemy as sa

from boathouse.database import Json, metadata

writes = sa.Table(
    "bh_lineage_writes", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("target", sa.String(512), nullable=False),
    sa.Column("version", sa.String(64)),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("operation", sa.String(64), nullable=False, default=""),
    sa.Column("replaces", sa.Boolean, nullable=False, default=False),
    sa.Column("restored", sa.BigInteger),
    sa.Column("principal", sa.String(255), nullable=False),
    sa.Column("run_id", sa.String(64), index=True),
    sa.Column("job", sa.String(512)),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False, index=True),
    sa.Index("bh_lineage_writes_target", "target", "number"),
    sa.Index("bh_lineage_writes_replaces", "target", "replaces", "number"),
)  # fmt: skip

reads = sa.Table(
    "bh_lineage_reads", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("write_id", sa.ForeignKey("bh_lineage_writes.id"), nullable=False, index=True),
    sa.Column("source", sa.String(512), nullable=False),
    sa.Column("version", sa.String(64)),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("target", sa.String(512), nullable=False),
    sa.Column("target_number", sa.BigInteger, nullable=False),
    sa.Column("how", sa.String(16), nullable=False),
    sa.Column("mapping_id", sa.ForeignKey("bh_lineage_mappings.id")),
    sa.Index("bh_lineage_reads_down", "source", "number", "target", "target_number"),
    sa.Index("bh_lineage_reads_up", "target", "target_number", "source", "number"),
)  # fmt: skip

mappings = sa.Table(
    "bh_lineage_mappings", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("body", Json, nullable=False),
)  # fmt: skip
"""Which columns became which: the same for most writes of a target, so each is kept once."""
