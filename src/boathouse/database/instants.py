"""Instants in SQLite, which keeps no zone with them: written in UTC, and read as UTC, as PostgreSQL gives them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.dialects.sqlite import DATETIME


class UtcOnSqlite(DATETIME):
    """A `DateTime` whose values carry their zone both ways; what is written without one is UTC."""

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        """To what SQLite keeps."""
        write = super().bind_processor(dialect)
        assert write is not None
        return lambda value: write(value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        """From what SQLite keeps."""
        read = super().result_processor(dialect, coltype)
        assert read is not None

        def aware(kept: Any) -> datetime | None:
            moment = read(kept)
            return None if moment is None else moment.replace(tzinfo=UTC)

        return aware
