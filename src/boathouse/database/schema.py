"""The one MetaData that every room's tables join, all under the prefix `bh_` beside MLflow's tables."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, MetaData, String, TypeDecorator

metadata = MetaData()
Json = JSON

Name = String(512).with_variant(String(512, collation="C"), "postgresql")
"""A full name. It sorts by its bytes in every database, so that `a.b` comes before `a_b.c` and pages follow names."""


class Moment(TypeDecorator[datetime]):
    """A moment, in UTC in every database. SQLite keeps no zone, and PostgreSQL answers in that of the connection."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """One without a zone is meant in UTC."""
        return _in_utc(value)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """With its zone."""
        return _in_utc(value)


def _in_utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
