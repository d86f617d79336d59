"""Each test has a PostgreSQL database of its own."""

from collections.abc import Callable, Iterator

import pytest

from boathouse.database import Database


@pytest.fixture
def database(new_database: Callable[[], str]) -> Iterator[Database]:
    """An empty metadata database with every room's tables."""
    made = Database(new_database())
    made.create_tables()
    yield made
    made.close()
