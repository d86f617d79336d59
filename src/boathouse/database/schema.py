"""The one MetaData that every room's tables join, all under the prefix `bh_` beside MLflow's tables."""

from sqlalchemy import JSON, MetaData

metadata = MetaData()
Json = JSON
