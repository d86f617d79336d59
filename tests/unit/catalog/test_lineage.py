"""Lineage: what was made out of what."""

import pytest

from boathouse.catalog import Lineage
from boathouse.database import Database


@pytest.fixture
def lineage(database: Database) -> Lineage:
    made = Lineage(database)
    made.record([("raw", "1")], ("features", "5"), "ada", "run-1")
    made.record([("raw", "2"), ("weather", "7")], ("features", "6"), "ada", "run-2")
    made.record([("features", "6")], ("model:delay", "1"), "ada", None)
    return made


def pairs(lineage: Lineage, name: str, direction: str, depth: int = 20) -> list[tuple[str, str]]:
    return [(e.source, e.target) for e in lineage.edges(name, direction, depth)]


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


@pytest.mark.parametrize(
    ("version", "sources"),
    [("5", {"raw"}), ("6", {"raw", "weather"}), ("9", {"raw", "weather"}), ("4", set())],
)
def test_a_version_has_its_own_sources_or_those_of_the_write_before(
    lineage: Lineage, version: str, sources: set[str]
) -> None:
    assert {e.source for e in lineage.at_version("features", version)} == sources


def test_a_circle_ends_and_a_table_is_not_its_own_source(lineage: Lineage) -> None:
    lineage.record([("model:delay", "1"), ("raw", "2")], ("raw", "3"), "ada", None)
    assert ("raw", "raw") not in pairs(lineage, "raw", "up")
    assert len(pairs(lineage, "raw", "up")) == 4
