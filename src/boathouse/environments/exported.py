"""Deployments as rows of `system.deployments`."""

import pyarrow as pa
import sqlalchemy as sa

from boathouse.catalog import Exported
from boathouse.environments.store import deployments

DEPLOYMENTS = Exported(
    "deployments", "Which commit of which project was deployed here, when and by whom",
    pa.schema([
        ("id", pa.int64()), ("deployed_at", pa.timestamp("us", tz="UTC")), ("environment", pa.string()), ("project", pa.string()),
        ("commit_id", pa.string()), ("dirty", pa.bool_()), ("deployed_by", pa.string()),
    ]),
    sa.select(deployments, deployments.c.environment.label("subject"))
    .where(deployments.c.scratch == "").order_by(deployments.c.id),
    lambda number: deployments.c.id > number, lambda row: int(row["id"]),
)  # fmt: skip
