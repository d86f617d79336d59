"""Views are read with their owner's rights, while masks, filters and `current_user` mean whoever asks."""

from typing import Any

import pytest

from boathouse.errors import AlreadyExists, Conflict, InvalidInput, NotPermitted
from boathouse.identity import Identity

OWNER = Identity("olga")
READER = Identity("rita", frozenset({"readers"}))
GUEST = Identity("gus", frozenset({"guests"}))


@pytest.fixture
def world(world: Any) -> Any:
    for environment in ("dev", "prod"):
        world.access.grant("root", ["olga"], ["USE SCHEMA", "CREATE TABLE"], "catalog", environment)
    world.table("dev.raw.pay", {"id": [1, 2, 3], "who": ["rita", "gus", "olga"], "salary": [10, 20, 30]})
    world.do("CREATE VIEW raw.low (id, name) AS SELECT id, who FROM raw.pay WHERE salary < 30")
    world.access.grant("root", ["guests"], ["USE CATALOG", "USE SCHEMA"], "catalog", "dev")
    world.access.grant("root", ["guests"], ["SELECT"], "table", "dev.raw.low")
    return world


def test_a_view_shows_what_its_owner_may_read_to_those_who_may_not(world: Any) -> None:
    assert world.ask("SELECT * FROM raw.low ORDER BY id", GUEST) == [{"id": 1, "name": "rita"}, {"id": 2, "name": "gus"}]
    with pytest.raises(NotPermitted):
        world.ask("FROM raw.pay", GUEST)
    with world.desk.run(GUEST, "FROM raw.low", "dev") as result:
        assert (result.versions, result.origin.tables()) == ({}, {"dev.raw.low": None})
    with world.desk.run(OWNER, "FROM raw.low", "dev") as result:
        assert result.versions == {"dev.raw.pay": 1}


def test_it_ends_with_the_right_of_its_owner(world: Any) -> None:
    world.table("prod.raw.other", {"id": [1]})
    world.access.grant("root", ["vera"], ["USE CATALOG", "USE SCHEMA", "SELECT", "CREATE TABLE"], "catalog", "dev")
    world.do("CREATE VIEW raw.theirs AS SELECT id FROM raw.pay", Identity("vera"))
    world.access.grant("root", ["guests"], ["SELECT"], "table", "dev.raw.theirs")
    assert len(world.ask("FROM raw.theirs", GUEST)) == 3
    world.access.revoke("root", "vera", "SELECT", "catalog", "dev")
    with pytest.raises(NotPermitted, match=r"its owner vera may not read all that it is made of$"):
        world.ask("FROM raw.theirs", GUEST)
    assert world.denials()[-1] == ("gus", "denied SELECT", "dev.raw.theirs")


def test_names_mean_what_they_meant_where_the_view_was_made(world: Any) -> None:
    world.table("prod.raw.pay", {"id": [99], "who": ["x"], "salary": [1]})
    world.access.grant("root", ["readers"], ["USE CATALOG", "USE SCHEMA", "SELECT"], "catalog", "prod")
    assert world.ask("SELECT count(*) AS n FROM dev.raw.low", environment="prod") == [{"n": 2}]
    assert "dev" in str(world.catalog.table("dev.raw.low").view)


def test_masks_filters_and_current_user_mean_whoever_asks(world: Any) -> None:
    changes = {"masks": {"salary": "CASE WHEN is_member('guests') THEN salary END"},
               "row_filter": "who = current_user OR is_member('readers')"}  # fmt: skip
    world.catalog.describe(OWNER, "dev.raw.pay", changes)
    world.do("CREATE VIEW raw.mine AS SELECT who, salary, current_user AS me FROM raw.pay")
    world.access.grant("root", ["guests"], ["SELECT"], "table", "dev.raw.mine")
    assert world.ask("FROM raw.mine", GUEST) == [{"who": "gus", "salary": 20, "me": "gus"}]
    assert world.ask("SELECT count(salary) AS s, count(*) AS n FROM raw.mine") == [{"s": 0, "n": 3}]


def test_a_view_has_masks_of_its_own(world: Any) -> None:
    world.catalog.describe(OWNER, "dev.raw.low", {"masks": {"name": "left(name, 1)"}, "row_filter": "id = 1"})
    assert world.ask("FROM raw.low", GUEST) == [{"id": 1, "name": "r"}]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM raw.low WHERE id::UTINYINT + 253 > 0 AND error(name) IS NULL",
        "SELECT * FROM raw.low WHERE CAST(name AS INT) = 1",
        "SELECT * FROM raw.low JOIN range(3) r(x) ON CAST(name AS INT) = x",
        "SELECT * FROM raw.low ORDER BY CAST(name AS INT)",
        "SELECT CAST(name AS INT) FROM raw.low GROUP BY ALL",
        "SELECT * FROM (SELECT * FROM raw.low UNION ALL SELECT * FROM raw.low) WHERE error(name) IS NULL",
        "SELECT (SELECT max(name) FROM raw.low WHERE error(name || x) IS NULL) FROM range(2) t(x)",
    ],
)
def test_errors_tell_nothing_of_rows_that_a_view_hides(world: Any, query: str) -> None:
    with pytest.raises(InvalidInput) as failed:
        world.ask(query, GUEST)
    assert "olga" not in str(failed.value)


def test_views_stand_on_views_but_not_on_themselves(world: Any) -> None:
    world.do("CREATE VIEW raw.lowest AS SELECT name FROM raw.low l WHERE l.id = 1")
    world.do("CREATE VIEW raw.twice AS SELECT * FROM raw.lowest UNION ALL SELECT name FROM raw.low")
    assert world.ask("SELECT count(*) AS n FROM raw.twice") == [{"n": 3}]
    with pytest.raises(InvalidInput, match="made of itself"):
        world.do("CREATE OR REPLACE VIEW raw.low AS SELECT name AS id, name FROM raw.twice")
    edges = {(e.source, e.target) for e in world.lineage.edges("dev.raw.twice", "up")}
    assert {("dev.raw.lowest", "dev.raw.twice"), ("dev.raw.low", "dev.raw.lowest"), ("dev.raw.pay", "dev.raw.low")} <= edges


def test_a_view_is_replaced_by_its_owner_alone(world: Any) -> None:
    world.do("CREATE OR REPLACE VIEW raw.low AS SELECT 7 AS only")
    assert world.ask("FROM raw.low", GUEST) == [{"only": 7}]
    assert [c.name for c in world.catalog.table("dev.raw.low").columns] == ["only"]
    world.access.grant("root", ["readers"], ["MANAGE"], "catalog", "dev")
    with pytest.raises(NotPermitted, match="its owner olga, who alone may replace it"):
        world.do("CREATE OR REPLACE VIEW raw.low AS SELECT * FROM raw.pay", READER)
    with pytest.raises(AlreadyExists):
        world.do("CREATE VIEW raw.low AS SELECT 1 AS x")
    assert world.do("CREATE VIEW IF NOT EXISTS raw.low AS SELECT 1 AS x")["name"] == "dev.raw.low"
    with pytest.raises(AlreadyExists, match="is a table"):
        world.do("CREATE OR REPLACE VIEW raw.pay AS SELECT 1 AS x")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT * FROM prod.raw.hidden", "lacks"),
        ("SELECT * FROM information_schema.tables", "each caller something else"),
        ("SELECT $1 AS x", "parameter"),
        ("SUMMARIZE raw.pay", "SELECT … FROM only"),
        ("SELECT content FROM read_text('/etc/passwd')", "read_?text"),
        ("SELECT id, nothing FROM raw.pay", "nothing"),
    ],
)
def test_what_cannot_be_a_view_is_refused(world: Any, query: str, reason: str) -> None:
    with pytest.raises((InvalidInput, NotPermitted), match=reason):
        world.do(f"CREATE VIEW raw.bad AS {query}", READER if "prod" in query else OWNER)
    assert "dev.raw.bad" not in {t.name for t in world.catalog.tables(OWNER)}


def test_a_view_is_dropped_as_one_and_has_no_files(world: Any) -> None:
    info = world.catalog.table("dev.raw.low")
    assert (info.table_type, world.catalog.open_table(OWNER, info.name).through) == ("VIEW", "server")
    for statement in ("DELETE FROM raw.low", "INSERT INTO raw.low VALUES (1, 'x')", "OPTIMIZE raw.low"):
        with pytest.raises(Conflict, match="is a view"):
            world.do(statement)
    with pytest.raises(InvalidInput, match="DROP VIEW"):
        world.do("DROP TABLE raw.low")
    world.do("DROP TABLE raw.pay")
    with pytest.raises(Conflict, match="reads a table that is gone"):
        world.ask("FROM raw.low", GUEST)
    world.do("DROP VIEW raw.low")


def test_a_view_may_stay_at_one_version_of_a_table(world: Any) -> None:
    world.do("CREATE VIEW raw.first AS SELECT count(*) AS n FROM raw.pay VERSION AS OF 1 WHERE pay.id > 0")
    world.do("INSERT INTO raw.pay VALUES (4, 'new', 5)")
    assert world.ask("FROM raw.first") == [{"n": 3}]
    with pytest.raises(InvalidInput, match="which has no versions"):
        world.ask("FROM raw.first VERSION AS OF 1")
