"""Tables of the feed."""

import sqlalchemy as sa

from boathouse.database import metadata

places = sa.Table(
    "bh_openlineage_feed", metadata,
    sa.Column("receiver", sa.String(512), primary_key=True),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("told", sa.Integer, nullable=False, default=0),
    sa.Column("refused", sa.Integer, nullable=False, default=0),
    sa.Column("trouble", sa.Text),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
)  # fmt: skip
"""How far each receiver has been told: the number of the last event."""
