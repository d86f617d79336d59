"""Materialized features after random batches are what computing them anew gives."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boathouse.client import Lake
from boathouse.errors import InvalidInput
from boathouse.features.declared import AggregationFunction, DeltaTableSource, Feature, materialize
from boathouse.features.declared import operators as ops
from boathouse.features.declared import windows as w
from boathouse.features.declared.materialize import backfill, create, refresh

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
COLUMNS = {"id": "bigint", "user": "bigint", "value": "bigint", "at": "timestamp"}
WINDOWS = {
    "rolling": (ops.Sum("value"), w.RollingWindow(window_duration=6 * HOUR)),
    "delayed": (ops.Count(), w.RollingWindow(window_duration=9 * HOUR, delay=2 * HOUR)),
    "tumbling": (ops.Max("value"), w.TumblingWindow(window_duration=8 * HOUR)),
    "sliding": (ops.LastDistinct("value", n=2), w.SlidingWindow(window_duration=24 * HOUR, slide_duration=4 * HOUR)),
    "ever": (ops.Avg("value"), w.RollingWindow()),
}


def declared(source: str, names: list[str]) -> list[Feature]:
    table = DeltaTableSource(schema_name="raw", table_name=source, filter_condition="value >= 0")
    return [
        Feature(source=table, entity="user", timeseries_column="at", name=name, function=AggregationFunction(*WINDOWS[name]))
        for name in names
    ]


def change(lake: Lake, source: str, rng: random.Random, now: int) -> None:
    """New rows, late ones among them, corrections and deletes."""
    table = lake.table(f"raw.{source}")
    rows = [
        {"id": rng.randrange(200), "user": rng.randrange(5), "value": rng.randrange(-1, 9),
         "at": START + (rng.randrange(now) if rng.random() < 0.5 else now) * HOUR}
        for _ in range(rng.randrange(1, 8))
    ]  # fmt: skip
    table.merge(list({r["id"]: r for r in rows}.values()))
    if rng.random() < 0.4:
        table.delete(f"id % 7 = {rng.randrange(7)}")


@pytest.mark.parametrize("names", [
    ["rolling", "tumbling", "sliding"], pytest.param(["delayed"], marks=pytest.mark.long),
    pytest.param(["rolling", "ever"], marks=pytest.mark.long),
])  # fmt: skip
def test_a_refresh_of_what_changed_equals_a_full_one(lake: Lake, names: list[str]) -> None:
    rng, source = random.Random(sum(map(ord, names[0]))), f"events_{names[0]}_{len(names)}"
    lake.create_table(f"raw.{source}", COLUMNS, primary_keys=["id"])
    features = declared(source, names)
    create(lake, f"features.{source}", features, {})
    kinds, reached = [], START
    for step in range(1, 9):
        change(lake, source, rng, step * 5)
        until = START + (step * 5 + rng.randrange(8)) * HOUR
        kinds.append(refresh(lake, f"features.{source}", features, until).kind)
        reached = max(until, reached)
        create(lake, f"features.{source}_{step}", features, {})
        refresh(lake, f"features.{source}_{step}", features, reached)
        assert sorted_rows(lake, f"features.{source}") == sorted_rows(lake, f"features.{source}_{step}")
    assert kinds == ["full", *["incremental"] * 7]


def sorted_rows(lake: Lake, name: str) -> list[dict[str, object]]:
    return lake.engine.relation(f'SELECT * FROM {lake.table(name).scan()} ORDER BY "user", "at"').to_dicts()


def test_a_range_is_recomputed_by_itself(lake: Lake) -> None:
    lake.create_table("raw.ranged", COLUMNS, primary_keys=["id"])
    lake.table("raw.ranged").append([{"id": i, "user": i % 2, "value": i, "at": START + i * HOUR} for i in range(40)])
    features = declared("ranged", ["rolling"])
    create(lake, "features.ranged", features, {})
    refresh(lake, "features.ranged", features, START + 100 * HOUR)
    before = sorted_rows(lake, "features.ranged")
    lake.table("features.ranged").delete(f"at >= '{(START + 5 * HOUR).isoformat()}' AND at < '{(START + 9 * HOUR).isoformat()}'")
    assert sorted_rows(lake, "features.ranged") != before
    backfill(lake, "features.ranged", features, START + 5 * HOUR, START + 9 * HOUR)
    assert sorted_rows(lake, "features.ranged") == before


def test_a_source_that_was_made_anew_is_computed_anew(lake: Lake) -> None:
    rows = [{"id": i, "user": i % 2, "value": 1, "at": START + i * HOUR} for i in range(9)]
    features = declared("anew", ["ever"])
    lake.create_table("raw.anew", rows, primary_keys=["id"])
    create(lake, "features.anew", features, {})
    refresh(lake, "features.anew", features, START + 100 * HOUR)
    lake.drop_table("raw.anew")
    table = lake.create_table("raw.anew", [{"id": 1, "user": 7, "value": 3, "at": START}], primary_keys=["id"])
    for i in range(3):
        table.append([{"id": 100 + i, "user": 7, "value": 3, "at": START}])
    assert refresh(lake, "features.anew", features, START + 101 * HOUR).kind == "full"
    assert [(r["user"], r["ever"]) for r in sorted_rows(lake, "features.anew")] == [(7, 3.0)]


def test_a_source_of_other_types_is_computed_anew_and_one_that_lacks_a_column_is_named(lake: Lake) -> None:
    rows = [{"id": i, "user": i % 2, "value": 2, "at": START + i * HOUR} for i in range(3)]
    source = lake.create_table("raw.retyped", rows, primary_keys=["id"])
    features = declared("retyped", ["tumbling"])
    create(lake, "features.retyped", features, {})
    refresh(lake, "features.retyped", features, START + 9 * HOUR)
    source.overwrite([{**row, "value": 0.5} for row in rows], evolve=True)
    with pytest.raises(InvalidInput, match="refresh it"):
        backfill(lake, "features.retyped", features, START, START + HOUR)
    assert refresh(lake, "features.retyped", features, START + 10 * HOUR).kind == "full"
    assert {r["tumbling"] for r in sorted_rows(lake, "features.retyped")} == {0.5}
    source.append([{"id": 9, "user": 5, "value": 1.5, "at": START}])
    assert refresh(lake, "features.retyped", features, START + 10 * HOUR).kind == "incremental"
    source.overwrite([{"id": 1, "user": 1, "value": 1.0}], evolve=True)
    with pytest.raises(InvalidInput, match="no column 'at'"):
        refresh(lake, "features.retyped", features, START + 11 * HOUR)


def test_a_refresh_that_another_one_has_passed_is_done_anew(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"id": i, "user": i % 2, "value": 2, "at": START + i * HOUR} for i in range(6)]
    source, features = lake.create_table("raw.passed", rows, primary_keys=["id"]), declared("passed", ["rolling"])
    create(lake, "features.passed", features, {})
    refresh(lake, "features.passed", features, START + 20 * HOUR)
    source.delete("id > 2")
    source.append([{"id": 9, "user": 9, "value": 2, "at": START}])
    computed, others = materialize._flagged, [START + 21 * HOUR]

    def after_another(*given: Any) -> Any:
        if others:
            source.delete("id = 9")
            refresh(lake, "features.passed", features, others.pop())
        return computed(*given)

    monkeypatch.setattr(materialize, "_flagged", after_another)
    refresh(lake, "features.passed", features, START + 22 * HOUR)
    assert others == []
    kept = sorted_rows(lake, "features.passed")
    refresh(lake, "features.passed", features, START + 23 * HOUR, full=True)
    assert kept == sorted_rows(lake, "features.passed")
