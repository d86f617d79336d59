"""Lineage: what was made out of what, by version."""

import pytest

from boathouse.catalog import Direction, Lineage, Source
from boathouse.database import Database


@pytest.fixture
def lineage(database: Database) -> Lineage:
    made = Lineage(database)
    made.record([("raw", "1")], ("features", "5"), "ada", "run-1")
    made.record([("raw", "2"), ("weather", "7")], ("features", "6"), "ada", "run-2")
    made.record([("features", "6")], ("model:delay", "1"), "ada", None)
    return made


def pairs(
    lineage: Lineage, name: str, direction: Direction, depth: int = 20, version: int | None = None
) -> list[tuple[str, str]]:
    return [(e.source, e.target) for e in lineage.walk(name, direction, version, depth).edges]


def test_edges_lead_up_to_all_that_went_in(lineage: Lineage) -> None:
    expected = [("raw", "features"), ("weather", "features"), ("features", "model:delay")]
    assert pairs(lineage, "model:delay", "up") == expected
    assert pairs(lineage, "model:delay", "up", depth=1) == [("features", "model:delay")]
    assert pairs(lineage, "raw", "up") == []


def test_edges_lead_down_to_all_that_came_out(lineage: Lineage) -> None:
    assert pairs(lineage, "raw", "down") == [("raw", "features"), ("features", "model:delay")]


def test_of_several_writes_the_newest_is_shown(lineage: Lineage) -> None:
    (raw, _) = lineage.edges("features")
    assert (raw.source_version, raw.target_version, raw.run_id) == ("2", "6", "run-2")


def test_a_version_is_walked_to_what_it_saw_and_not_to_what_came_later(lineage: Lineage) -> None:
    lineage.record([("raw", "9"), ("planes", "1")], ("features", "7"), "ada", "run-3")
    walk = lineage.walk("model:delay", "up", 1)
    assert [(e.source, e.source_version, e.target_version) for e in walk.edges if e.target == "features"] == [
        ("raw", "2", "6"), ("weather", "7", "6"),
    ]  # fmt: skip
    assert walk.steps == {"model:delay": 0, "features": 1, "raw": 2, "weather": 2}


@pytest.mark.parametrize(
    ("version", "sources"),
    [("5", {"raw"}), ("6", {"raw", "weather"}), ("9", {"raw", "weather"}), ("4", set()), ("none", set())],
)
def test_a_version_has_its_own_sources_and_those_of_the_writes_before(
    lineage: Lineage, version: str, sources: set[str]
) -> None:
    assert {e.source for e in lineage.at_version("features", version)} == sources


def test_what_was_overwritten_no_longer_counts_but_stays_true_of_its_versions(lineage: Lineage) -> None:
    lineage.record([("planes", "1")], ("features", "7"), "ada", "run-3", replaces=True)
    assert pairs(lineage, "features", "up") == [("planes", "features")]
    assert pairs(lineage, "features", "up", version=6) == [("raw", "features"), ("weather", "features")]
    assert pairs(lineage, "raw", "down", version=2) == [("raw", "features"), ("features", "model:delay")]
    assert [(e.target, e.current) for e in lineage.edges("raw", "down")] == [("features", False), ("model:delay", True)]
    lineage.record([], ("features", "8"), "ada", "run-4", restored=6)
    assert pairs(lineage, "features", "up") == [("raw", "features"), ("weather", "features")]


def test_downstream_of_a_version_is_what_read_it_or_a_later_one(lineage: Lineage) -> None:
    lineage.record([("features", "5")], ("model:delay", "2"), "ada", None)
    assert pairs(lineage, "weather", "down", version=7) == [("weather", "features"), ("features", "model:delay")]
    walk = lineage.walk("weather", "down", 7)
    assert walk.spans["model:delay"] == ((1, 1),)  # version 2 read what weather had not gone into
    assert pairs(lineage, "weather", "down", version=8) == []


def test_a_circle_ends_and_a_table_is_not_its_own_source(lineage: Lineage) -> None:
    lineage.record([("model:delay", "1"), ("raw", "2")], ("raw", "3"), "ada", None)
    assert ("raw", "raw") not in pairs(lineage, "raw", "up")
    assert len(pairs(lineage, "raw", "up")) == len(pairs(lineage, "raw", "up", version=3)) == 4


def test_what_has_no_version_is_always_in_force(lineage: Lineage) -> None:
    lineage.record([Source("file:weather.csv")], ("weather", "3"), "ada", None)
    lineage.record([("model:delay", "1")], ("endpoint:delay", None), "ada", None)
    assert ("file:weather.csv", "weather") in pairs(lineage, "model:delay", "up", version=1)
    assert ("model:delay", "endpoint:delay") in pairs(lineage, "file:weather.csv", "down")
    assert ("model:delay", "endpoint:delay") in pairs(lineage, "raw", "down", version=1)


def test_a_write_that_is_told_twice_stands_once(lineage: Lineage) -> None:
    for _ in range(2):
        lineage.record([("raw", "3"), ("raw", "3")], ("features", "7"), "ada", "run-3")
    assert lineage.versions("features") == ["5", "6", "7"]
    assert [e.source_version for e in lineage.edges("features") if e.source == "raw"] == ["3"]


def test_a_dropped_table_keeps_its_history_apart_from_the_next_of_its_name(lineage: Lineage) -> None:
    lineage.drop("features")
    assert lineage.dropped("features") == ["features~1"]
    lineage.record([("other", "1")], ("features", "1"), "ada", None)
    assert pairs(lineage, "features", "up") == [("other", "features")]
    assert pairs(lineage, "model:delay", "up")[-1] == ("features~1", "model:delay")
    lineage.drop("features")
    assert lineage.dropped("features") == ["features~1", "features~2"]


def test_a_renamed_table_brings_its_history_along(lineage: Lineage) -> None:
    lineage.rename("features", "characteristics")
    assert pairs(lineage, "raw", "down") == [("raw", "characteristics"), ("characteristics", "model:delay")]
    assert lineage.versions("features") == []


def test_of_a_throw_away_table_nothing_stays(lineage: Lineage) -> None:
    lineage.record([("raw", "1")], ("staging.mr7__raw.flights", "1"), "ada", None)
    lineage.drop("staging.mr7__raw.flights")
    assert pairs(lineage, "raw", "down") == [("raw", "features"), ("features", "model:delay")]
    assert lineage.dropped("staging.mr7__raw.flights") == []
