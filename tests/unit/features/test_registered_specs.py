"""Feature specs as rows."""

from datetime import UTC, datetime

import sqlalchemy as sa

from boathouse.database import Database
from boathouse.features.store import feature_specs


def test_the_id_of_a_spec_that_is_gone_is_not_given_again(database: Database) -> None:
    row = {"name": "dev.f.spec", "spec": "", "created_at": datetime(2026, 1, 1, tzinfo=UTC), "created_by": "ann"}
    found = []
    for _ in range(2):
        with database.writing() as connection:
            connection.execute(feature_specs.insert().values(row))
            found.append(connection.execute(sa.select(feature_specs.c.id)).scalar_one())
            connection.execute(feature_specs.delete())
    assert found == [1, 2]  # an endpoint tells by it that it serves another spec now
