"""Origins: what a frame says it is made of, and when it stops saying so."""

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from boathouse.lake import TAG, UNKNOWN, Engine, Origin, Relation, origin_of, tagged

RAW = Origin("dev.raw.flights", "3")


SCAN = "(SELECT 1 AS id, 'JFK' AS origin UNION ALL SELECT 2, 'LGA')"


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def rows(engine: Engine) -> Relation:
    return engine.relation(f"SELECT * FROM {engine.remember(SCAN, RAW)} WHERE id > 0")


def test_a_relation_over_a_scan_knows_the_table_and_the_query(rows: Relation) -> None:
    assert rows.origin == Origin(query="SELECT * FROM scan_0 WHERE id > 0", inputs={"scan_0": RAW})
    assert rows.filter("id = 1").select("origin").origin.tables() == {"dev.raw.flights": "3"}
    assert rows.limit(1).origin.complete


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t,
        lambda t: t.select(["id"]),
        lambda t: t.slice(1),
        lambda t: t.filter(pa.array([True, False])),
        lambda t: t.to_reader(),
        lambda t: t.sort_by("origin"),
    ],
)
def test_arrow_rows_know_their_origin_while_nothing_is_added(rows: Relation, change: Any) -> None:
    origin = origin_of(change(rows.to_arrow()))
    assert (origin.tables(), origin.complete) == ({"dev.raw.flights": "3"}, True)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f[f.id > 1],
        lambda f: f[["origin"]],
        lambda f: f.sort_values("id").reset_index(drop=True),
        lambda f: f.groupby("origin", as_index=False).sum(),
    ],
)
def test_pandas_rows_know_their_origin_while_nothing_is_added(rows: Relation, change: Any) -> None:
    origin = origin_of(change(rows.to_pandas()))
    assert (origin.tables(), origin.complete) == ({"dev.raw.flights": "3"}, True)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.append_column("temp", pa.array([1.0, 2.0])),
        lambda t: pa.concat_tables([t, t.replace_schema_metadata(None)]),
        lambda t: t.to_pandas().assign(temp=1.0),
        lambda t: t.rename_columns(["a", "b"]),
    ],
)
def test_what_rows_or_columns_were_added_to_no_longer_knows_all(rows: Relation, change: Any) -> None:
    assert not origin_of(change(rows.to_arrow())).complete


def test_scans_that_read_alike_are_told_apart(engine: Engine) -> None:
    one, other = (engine.remember(SCAN, Origin(f"dev.raw.{name}", "1")) for name in ("one", "other"))
    assert engine.relation(f"SELECT * FROM {one}").origin.tables() == {"dev.raw.one": "1"}
    assert engine.relation(f"SELECT * FROM {other}").origin.tables() == {"dev.raw.other": "1"}
    streamed = engine.remember(engine.register(pa.table({"id": [1]})), RAW)
    assert engine.relation(f"SELECT * FROM {streamed}").origin.tables() == {"dev.raw.flights": "3"}


def test_a_frame_of_elsewhere_makes_what_is_joined_with_it_incomplete(engine: Engine) -> None:
    known = engine.register(tagged(pa.table({"id": [1]}), RAW))
    strange = engine.register(pa.table({"id": [1]}))
    joined = engine.relation(f"SELECT * FROM {known} JOIN {strange} USING (id)").origin
    assert (joined.tables(), joined.complete) == ({"dev.raw.flights": "3"}, False)


def test_a_query_over_nothing_is_known_to_be_made_of_nothing(engine: Engine) -> None:
    assert engine.relation("SELECT 1 AS n").origin.complete
    assert not UNKNOWN.complete
    assert origin_of({"n": [1]}) is origin_of([{"n": 1}]) is UNKNOWN


@pytest.mark.parametrize(
    "tag", ["", "no JSON", "[]", "{}", '{"origin": 3, "columns": [], "rows": 1}', '{"origin": {"inputs": 1}}']
)
def test_a_forged_tag_tells_nothing(tag: str) -> None:
    frame = pd.DataFrame({"id": [1]})
    frame.attrs[TAG] = tag
    assert origin_of(frame) is UNKNOWN
    assert origin_of(pa.table({"id": [1]}).replace_schema_metadata({TAG: tag})) is UNKNOWN


def test_an_origin_goes_through_json_unchanged() -> None:
    origin = Origin(query="SELECT 1", inputs={"a": RAW, "b": Origin(inputs={"c": RAW, "d": UNKNOWN})})
    assert Origin.from_dict(origin.to_dict()) == origin


def test_old_scans_are_forgotten_so_that_a_stream_does_not_grow(engine: Engine) -> None:
    for version in range(500):
        engine.remember(f"(SELECT {version})", Origin("dev.raw.flights", str(version)))
    assert len(engine._scans) == 200
