"""Lookups over several stores: each table where it was published last."""

from pathlib import Path

import pytest
from online_stores import batch, wanted

from boathouse.errors import NotFound, Unavailable
from boathouse.features import EmbeddedStore, RoutedStores

KEY = [("N1",)]


@pytest.fixture
def stores(tmp_path: Path) -> dict[str, EmbeddedStore]:
    return {name: EmbeddedStore(tmp_path / name, "prod") for name in ("default", "fast")}


@pytest.fixture
def routed(tmp_path: Path, stores: dict[str, EmbeddedStore]) -> RoutedStores:
    return RoutedStores("prod", lambda: {name: str(tmp_path / name) for name in stores})


def rows(routed: RoutedStores, *tables: str) -> list[object]:
    return [found.rows[0] for found in routed.lookup_many([(f"features.{table}", KEY) for table in tables])]


def test_tables_of_several_stores_come_in_the_order_asked(stores: dict[str, EmbeddedStore], routed: RoutedStores) -> None:
    for number, (table, store) in enumerate([("a", "default"), ("b", "fast"), ("c", "default")]):
        stores[store].publish(wanted(table=f"prod.features.{table}"), [batch(seats=[number, 9])])
    assert rows(routed, "a", "b", "c") == [(0,), (1,), (2,)]
    assert rows(routed, "b", "a") == [(1,), (0,)]


def test_a_table_published_elsewhere_since_is_found_there(
    stores: dict[str, EmbeddedStore], routed: RoutedStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores["default"].publish(wanted(table="prod.features.a"), [batch(seats=[1, 9])])
    assert rows(routed, "a") == [(1,)]
    stores["fast"].publish(wanted(table="prod.features.a"), [batch(seats=[2, 9])])
    monkeypatch.setattr("boathouse.features.online.routing._FRESH", 0.0)
    routed._routes.clear()
    assert rows(routed, "a") == [(2,)]
    stores["fast"].withdraw("prod.features.a")
    assert rows(routed, "a") == [(1,)]


def test_a_store_made_later_is_asked_for(tmp_path: Path, stores: dict[str, EmbeddedStore]) -> None:
    known = {"default": str(tmp_path / "default")}
    routed = RoutedStores("prod", lambda: known)
    with pytest.raises(NotFound, match="not published"):
        rows(routed, "a")
    known["fast"] = str(tmp_path / "fast")
    stores["fast"].publish(wanted(table="prod.features.a"), [batch(seats=[3, 9])])
    routed._learned = 0.0
    assert rows(routed, "a") == [(3,)]


def test_a_silent_store_matters_to_its_own_tables_alone(tmp_path: Path, stores: dict[str, EmbeddedStore]) -> None:
    stores["default"].publish(wanted(table="prod.features.a"), [batch(seats=[1, 9])])
    routed = RoutedStores("prod", lambda: {"default": str(tmp_path / "default"), "gone": "redis://127.0.0.1:1/0#store=gone"})
    assert rows(routed, "a") == [(1,)]
    with pytest.raises(Unavailable):
        rows(routed, "b")
