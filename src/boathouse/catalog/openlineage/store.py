"""Tables of OpenLineage."""

import sqlalchemy as sa

from boathouse.database import Json, metadata

open_runs = sa.Table(
    "bh_openlineage_runs", metadata,
    sa.Column("run_id", sa.String(64), primary_key=True),
    sa.Column("principal", sa.String(255), primary_key=True),
    sa.Column("datasets", Json, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False, index=True),
)  # fmt: skip
"""Runs of other systems that have not ended: each event may tell of a part only."""
