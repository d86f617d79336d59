"""Which reads are the sources of a write."""

import pytest

from boathouse.catalog import Making
from boathouse.client.reads import Reads
from boathouse.lake import Origin

TARGET = "dev.features.weather"
WEATHER = Origin("dev.raw.weather", "3")


@pytest.fixture
def reads() -> Reads:
    return Reads(lambda name: name if name.count(".") == 2 else f"dev.{name}")


def test_rows_that_know_their_origin_have_no_other_sources(reads: Reads) -> None:
    reads.note("dev.features.carrier", 5)
    reads.note("dev.raw.weather", 3)
    assert reads.sources(TARGET, Making(WEATHER)) == [("dev.raw.weather", "3", "derived")]


def test_of_unknown_rows_what_was_read_since_the_write_before_is_inferred(reads: Reads) -> None:
    reads.note("dev.raw.weather", 3)
    reads.note(TARGET, 1)
    assert reads.sources(TARGET, Making()) == [("dev.raw.weather", "3", "inferred")]
    reads.note("dev.raw.planes", 1)
    assert reads.sources("dev.features.planes", Making()) == [("dev.raw.planes", "1", "inferred")]


def test_a_second_write_without_reads_has_the_sources_of_the_first(reads: Reads) -> None:
    reads.note("dev.raw.weather", 3)
    reads.sources(TARGET, Making())
    assert reads.sources("dev.features.more", Making()) == [("dev.raw.weather", "3", "inferred")]
    reads.sources(TARGET, Making(WEATHER))  # rows that know their origin: others beside them are not theirs
    assert reads.sources("dev.ops.log", Making()) == []


def test_what_came_beside_known_rows_is_inferred(reads: Reads) -> None:
    reads.note("dev.raw.weather", 3)
    reads.note("dev.raw.planes", 1)
    partly = Origin(inputs={"rows": WEATHER, "more": Origin()})
    assert reads.sources(TARGET, Making(partly)) == [
        ("dev.raw.weather", "3", "derived"),
        ("dev.raw.planes", "1", "inferred"),
    ]


def test_sources_that_the_writer_names_stand_alone(reads: Reads) -> None:
    reads.note("dev.raw.weather", 3)
    making = Making(WEATHER, ["raw.weather", ("raw.planes", 7), "file:weather.csv"])
    assert reads.sources(TARGET, making) == [
        ("dev.raw.weather", "3", "declared"), ("dev.raw.planes", "7", "declared"), ("file:weather.csv", None, "declared"),
    ]  # fmt: skip


def test_a_write_that_takes_nothing_leaves_the_reads_to_the_next(reads: Reads) -> None:
    reads.note("dev.raw.weather", 3)
    assert reads.sources(TARGET, Making(sources=())) == []
    assert reads.sources(TARGET, Making()) == [("dev.raw.weather", "3", "inferred")]


def test_all_that_was_read_is_kept_at_its_newest_version(reads: Reads) -> None:
    reads.note("dev.raw.weather", 3)
    reads.note("dev.raw.weather", 4)
    reads.sources(TARGET, Making())
    assert reads.newest == {"dev.raw.weather": 4}
