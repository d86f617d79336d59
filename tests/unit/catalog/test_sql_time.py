"""Tables as they were: by version, by time, many at once."""

from datetime import UTC, datetime
from typing import Any

import pytest

from boathouse.catalog.sql.time_travel import Moment, moment, rewritten
from boathouse.errors import InvalidInput, NotFound
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder

OWNER = Identity("olga")


@pytest.fixture
def world(world: Any) -> Any:
    made = world.table("dev.raw.events", {"id": [1], "who": ["first"]})
    for number in (2, 3):
        DeltaFolder(made.location, made.name).append({"id": [number], "who": ["later"]})
    return world


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("SELECT * FROM raw.t VERSION AS OF 3", 'SELECT * FROM raw."t@v3"'),
        ("SELECT * FROM raw.t FOR VERSION AS OF 3 AS x", 'SELECT * FROM raw."t@v3" AS x'),
        ("SELECT * FROM raw.t@v3, dev.raw.t@V12 y", 'SELECT * FROM raw."t@v3", dev.raw."t@v12" y'),
        ("FROM raw.t timestamp as of '2024-05-01' WHERE t.a", "FROM raw.\"t@2024-05-01\" WHERE t.a"),
        ('FROM raw."t" VERSION AS OF 3', 'FROM raw."t@v3"'),
        ("SELECT 'raw.t VERSION AS OF 3' -- raw.t@v3", "SELECT 'raw.t VERSION AS OF 3' -- raw.t@v3"),
        ("SELECT a.b @v3, @a.x, a.version AS of FROM raw.t", "SELECT a.b @v3, @a.x, a.version AS of FROM raw.t"),
    ],
)
def test_the_moment_becomes_part_of_the_name(written: str, read: str) -> None:
    assert rewritten(written) == read


def test_a_marked_name_tells_its_moment() -> None:
    assert moment("t") == ("t", Moment())
    assert moment("t@v3") == ("t", Moment(version=3))
    assert moment("t@2024-05-01") == ("t", Moment(timestamp=datetime(2024, 5, 1, tzinfo=UTC)))
    with pytest.raises(InvalidInput, match="'yesterday' is no time"):
        moment("t@yesterday")


def test_versions_are_read_beside_each_other(world: Any) -> None:
    query = """SELECT (SELECT count(*) FROM raw.events) AS now, (SELECT count(*) FROM raw.events@v1) AS then,
                      count(*) AS second, max(events.id) AS newest FROM dev.raw.events VERSION AS OF 2"""
    assert world.ask(query) == [{"now": 3, "then": 1, "second": 2, "newest": 2}]
    with world.desk.run(OWNER, "FROM raw.events@v1", "dev") as result:
        assert result.versions == {"dev.raw.events": 1}
    assert world.ask("SELECT e.id FROM raw.events VERSION AS OF 1 e JOIN raw.events n USING (id)") == [{"id": 1}]


def test_a_time_means_the_version_of_that_time(world: Any) -> None:
    history = {c["version"]: c["timestamp"] for c in world.catalog.folder("dev.raw.events").history()}
    second = datetime.fromtimestamp(history[2] / 1000, UTC).isoformat()
    assert world.ask(f"SELECT count(*) AS n FROM raw.events TIMESTAMP AS OF '{second}'") == [{"n": 2}]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("FROM raw.events VERSION AS OF 99", NotFound),
        ("FROM raw.events@v99", NotFound),
        ("FROM raw.events TIMESTAMP AS OF 'yesterday'", InvalidInput),
        ("FROM raw.events TIMESTAMP AS OF '2999-01-01'", NotFound),
        ("FROM raw.events VERSION AS OF (SELECT 1)", InvalidInput),
        ("FROM raw.events AT (VERSION => 1)", InvalidInput),
        ("FROM nothing VERSION AS OF 1", InvalidInput),
    ],
)
def test_a_moment_that_is_none_is_refused(world: Any, query: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        world.ask(query)


def test_masks_and_filters_hold_for_every_version(world: Any) -> None:
    world.catalog.describe(OWNER, "dev.raw.events", {"masks": {"who": "'***'"}, "row_filter": "id <> 1"})
    assert world.ask("FROM raw.events@v2") == [{"id": 2, "who": "***"}]
    assert world.ask("FROM raw.events@v1") == []
