"""The one MetaData that every room's tables join, all under the prefix `bh_` beside MLflow's tables."""

from sqlalchemy import JSON, MetaData, String

metadata = MetaData()
Json = JSON

Name = String(512).with_variant(String(512, collation="C"), "postgresql")
"""A full name. It sorts by its bytes in every database, so that `a.b` comes before `a_b.c` and pages follow names."""
