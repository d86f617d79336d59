"""Masks and filters hold at every read, and hide rows from errors too."""

import re
from typing import Any

import pytest

from boathouse.errors import InvalidInput
from boathouse.identity import Identity

OWNER = Identity("olga")
READER = Identity("rita", frozenset({"readers"}))
AUDITOR = Identity("ada", frozenset({"readers", "auditors"}))
ALL = "is_member('auditors')"


@pytest.fixture(scope="module")
def world(still: Any) -> Any:
    rows = {"id": list(range(100)), "ssn": [f"secret{n}" for n in range(100)], "team": ["a", "b"] * 50}
    still.table("dev.raw.people", rows)
    still.table("dev.raw.teams", {"team": ["a", "b"], "boss": ["x", "y"]})
    mask = f"CASE WHEN {ALL} THEN ssn ELSE '***' END"
    changes = {"masks": {"ssn": mask}, "row_filter": f"{ALL} OR (team || '' = 'a' AND id % 10 = 4)"}
    still.catalog.describe(OWNER, "dev.raw.people", changes)
    return still


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) AS n, max(ssn) AS m FROM raw.people",
        "SELECT count(*) AS n, any_value(ssn) AS m FROM raw.people p JOIN raw.teams USING (team)",
        "SELECT count(*) AS n, max(x) AS m FROM (SELECT ssn AS x FROM dev.raw.people UNION ALL FROM (SELECT 'a') WHERE false)",
        "WITH p AS MATERIALIZED (SELECT * FROM raw.people) SELECT count(*) AS n, min(p.ssn) AS m FROM p",
        "SELECT (SELECT count(*) FROM raw.people) AS n, (SELECT list(DISTINCT ssn)[1] FROM raw.people) AS m",
        "SELECT count(*) AS n, first(m) AS m FROM (SELECT max(ssn) OVER () AS m FROM raw.people)",
        "SELECT len(list(ssn)) AS n, list(ssn)[1] AS m FROM raw.people VERSION AS OF 1",
        "SELECT count(*) AS n, max(ssn) AS m FROM raw.people WHERE ssn LIKE '*%' OR ssn LIKE 'secret%'",
        "SELECT count(*) AS n, max(COLUMNS('ss.')) AS m FROM raw.people",
        "SELECT count(*) AS n, max(people.ssn) AS m FROM raw.people TABLESAMPLE 100%",
    ],
)
def test_they_hold_wherever_the_table_stands(world: Any, query: str) -> None:
    assert world.ask(query) == [{"n": 10 // 2 + 5, "m": "***"}]
    assert "secret" in str(world.ask(query, AUDITOR)[0]["m"])


def test_copies_hold_what_their_maker_saw(world: Any) -> None:
    world.access.grant("root", ["rita"], ["CREATE TABLE"], "catalog", "dev")
    world.do("CREATE TABLE raw.copy AS SELECT * FROM raw.people", READER)
    assert world.ask("SELECT DISTINCT ssn FROM raw.copy", AUDITOR) == [{"ssn": "***"}]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM raw.people WHERE (id - 4)::UTINYINT > 91",
        "SELECT count(*) FROM raw.people WHERE CAST(CASE WHEN id % 10 = 4 THEN '1' ELSE 'row' || id END AS INT) = 1",
        "SELECT count(*) FROM raw.people WHERE CASE WHEN id = 7 THEN error('row' || id) END IS NULL",
        "SELECT count(*) FROM raw.people p JOIN range(9) r(x) ON CASE WHEN p.id = 7 THEN error('row7') ELSE p.id END = x",
        "SELECT count(*) FROM raw.people LEFT JOIN raw.teams USING (team) WHERE CASE WHEN id = 7 THEN error('row7') END IS NULL",
        "SELECT count(*) FROM (FROM raw.people UNION ALL FROM raw.people) WHERE CASE WHEN id = 7 THEN error('row7') END IS NULL",
        "SELECT (SELECT count(*) FROM raw.people WHERE CASE WHEN id = 7 THEN error('row7') ELSE id END > x) FROM range(2) r(x)",
        "SELECT * FROM raw.people WHERE CASE WHEN id = 7 THEN error('row7') END IS NULL ORDER BY id LIMIT 1",
        "SELECT DISTINCT ON (team) id FROM raw.people WHERE CASE WHEN id = 7 THEN error('row7') END IS NULL",
        "SELECT max(id) FILTER (CASE WHEN id = 7 THEN error('row7') END IS NULL) FROM raw.people",
        "SELECT count(*) FROM raw.people SEMI JOIN range(9) r(x) ON CASE WHEN id = 7 THEN error('row7') ELSE id END = x",
    ],
)
def test_no_predicate_is_tried_on_rows_that_are_hidden(world: Any, query: str) -> None:
    world.ask(query)
    with pytest.raises(InvalidInput, match=r"row|out of range|INT"):
        world.ask(query, AUDITOR)


@pytest.mark.parametrize(
    "expression",
    [
        "(SELECT max(boss) FROM raw.teams)", "ssn) AS ssn, (ssn", "ssn FROM raw.people) --", "read_text('/etc/passwd')",
        "getenv('HOME')", "current_setting('threads')", "ssn; DROP TABLE x", "ssn)) UNION (SELECT (1", "'***' --",
        "EXISTS (FROM raw.teams)",
    ],
)  # fmt: skip
def test_an_expression_reads_its_row_and_nothing_else(world: Any, expression: str) -> None:
    table = world.table(f"dev.raw.odd{abs(hash(expression))}", {"ssn": ["x"]})
    for change in ({"masks": {"ssn": expression}}, {"row_filter": expression}):
        guards = {"masks": {}, "row_filter": None, **change}
        if expression == "'***' --":  # an expression, though as a filter no row answers it
            world.catalog.describe(OWNER, table.name, guards)
        else:
            with pytest.raises(InvalidInput, match="cannot be used"):
                world.catalog.describe(OWNER, table.name, guards)
        if expression == "'***' --" and "masks" in change:
            assert world.ask(f"FROM {table.name}") == [{"ssn": "***"}]
            continue
        world.catalog._rows.change_table(OWNER, table.name, guards, "alter table")  # as one of before may stand there
        with pytest.raises(InvalidInput):
            world.ask(f"FROM {table.name}")


def test_whoever_asks_is_named_in_them(world: Any) -> None:
    table = world.table("dev.raw.own", {"who": ["rita", "ada"]})
    world.catalog.describe(OWNER, table.name, {"row_filter": "who = current_user OR who = session_user"})
    assert world.ask("FROM raw.own") == [{"who": "rita"}]
    assert world.ask("SELECT who, user AS me FROM raw.own", AUDITOR) == [{"who": "ada", "me": "ada"}]
    assert re.fullmatch(r"rita", str(world.ask("SELECT current_user AS u")[0]["u"]))
