"""The SQL of lineage and search on PostgreSQL gives what it gives on SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog import AccessControl, Audit, Lineage, Search
from boathouse.catalog.store import securables
from boathouse.database import Database
from boathouse.identity import Identity

WARM = {"columns": {"warm": {"temp": "TRANSFORMATION"}}, "rows": {"hour": ["FILTER"]}}
Walked = tuple[list[tuple[str, str, bool]], list[str], object]


def story(lineage: Lineage) -> list[Walked]:
    """Appends, an overwrite, a restore, a circle, files without versions; every walk from every node at every version."""
    lineage.record([("file:a.csv", None)], ("raw", "1"), "ada", "r1", operation="WRITE")
    lineage.record([("raw", "1", "derived", WARM), ("raw", "1")], ("features", "1"), "ada", "r2")
    lineage.record([("features", "1")], ("model:m", "1"), "ada", None)
    lineage.record([("other", "4")], ("features", "2"), "ada", None, replaces=True)
    lineage.record([("features", "2")], ("model:m", "2"), "ada", None)
    lineage.record([("model:m", "1")], ("raw", "2"), "ada", None)
    lineage.record([], ("features", "3"), "ada", None, restored=1)
    walks = []
    for node in ("raw", "features", "model:m", "file:a.csv"):
        for way in ("up", "down"):
            for version in (None, 1, 2, 3):
                walk = lineage.walk(node, way, version)  # type: ignore[arg-type]
                columns = [f"{e.source}.{e.source_column}>{e.target}.{e.target_column}" for e in lineage.columns(walk)]
                walks.append(([(e.source, e.target, e.current) for e in walk.edges], columns, dict(walk.spans)))
    return walks


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'metadata.db'}")
    made.create_tables()
    yield made
    made.close()


def test_every_walk_is_the_same(database: Database, sqlite: Database) -> None:
    assert story(Lineage(database)) == story(Lineage(sqlite))


def test_drops_renames_and_writes_told_twice_are_the_same(database: Database, sqlite: Database) -> None:
    answers = []
    for lineage in (Lineage(database), Lineage(sqlite)):
        for _ in range(2):
            lineage.record([("raw", "1", "derived", WARM)], ("features", "1"), "ada", None)
        lineage.rename("features", "characteristics")
        lineage.drop("raw")
        (made,) = lineage.made(target=("characteristics", "1"))
        told = (made.sources, lineage.versions("characteristics"), lineage.newest(["characteristics"]))
        answers.append((lineage.dropped("raw"), *told))
    assert answers[0] == answers[1]


def test_a_search_finds_the_same(database: Database, sqlite: Database, tmp_path: Path) -> None:
    found = []
    for number, each in enumerate((database, sqlite)):
        audit = Audit(each, tmp_path / f"key{number}", tmp_path / f"head{number}")
        with each.writing() as connection:
            columns = [{"name": "temp", "type": "double", "comment": "100% Wärme"}]
            for name in ("dev.raw.weather", "dev.raw.Weather_2", "dev.raw.flights"):
                connection.execute(sa.insert(securables).values(
                    kind="table", name=name, parent="dev.raw", owner="olga", comment="as it came",
                    properties={"columns": columns, "tags": {"team": name}}, created_at=clock.now(), created_by="olga",
                ))  # fmt: skip
        access = AccessControl(each, audit)
        access.grant("root", ["olga"], ["USE CATALOG", "USE SCHEMA", "SELECT"], "catalog", "dev")
        search = Search(each, access)
        texts = ("weather", "WEATHER", "temp", "100%", "wärme", "team=dev.raw.flights", "r_w")
        found.append([sorted(f.name for f in search.find(Identity("olga"), text)) for text in texts])
    assert found[0] == found[1]
    assert [len(names) for names in found[0]] == [2, 2, 3, 3, 3, 1, 0]
