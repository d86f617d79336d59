"""What every online store does: its tests are a class derived from this one, with a `store` fixture."""

import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from boathouse import clock
from boathouse.errors import Conflict, DuplicateKey, InvalidInput, NotFound
from boathouse.features import OnlineStore, Publication

TABLE = "prod.features.planes"
CHUNKS = ("layers._CHUNK_ROWS", "store._BATCH", "redis_line._TOGETHER")
"""How many rows are taken at a time."""


def batch(keys: Sequence[Any] = ("N1", "N2"), **columns: Sequence[Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"tail": list(keys)} | {k: list(v) for k, v in columns.items()})


def wanted(version: int = 1, table: str = TABLE, **facts: Any) -> Publication:
    return Publication(**{"table": table, "keys": ("tail",), "version": version} | facts)


class OnlineStoreBehaviour:
    def test_rows_are_found_by_key_and_others_are_not(self, store: OnlineStore) -> None:
        assert store.publish(wanted(3), [batch(seats=[100, None], maker=["A", "B"])]).rows == 2
        assert store.lookup(TABLE, [("N2",), ("N9",), ("N1",), (None,)]).rows == [(None, "B"), None, (100, "A"), None]

    def test_a_table_says_what_it_serves(self, store: OnlineStore) -> None:
        store.publish(wanted(3, source="prod.features.fleet"), [batch(seats=[100, 200])])
        served = store.describe(TABLE)
        assert store.tables() == [served]
        assert store.find(TABLE) == served
        assert (served.version, served.rows, served.keys, served.key_types) == (3, 2, ("tail",), ("string",))
        assert (served.columns, served.types) == (("seats",), ("int64",))
        assert served.published_at.tzinfo is not None

    def test_a_table_is_found_by_the_name_of_its_source_and_without_its_environment(self, store: OnlineStore) -> None:
        store.publish(wanted(source="prod.features.fleet"), [batch(seats=[1, 2])])
        for name in ("prod.features.fleet", "features.fleet", "features.planes"):
            assert store.lookup(name, [("N2",)]).rows == [(2,)]
        assert store.find("features.fleet") is None

    def test_values_come_back_as_the_types_they_had(self, store: OnlineStore) -> None:
        values = {
            "flag": True, "whole": 2**40, "real": 0.1, "text": "ü", "day": date(2013, 7, 1), "price": Decimal("1.50"),
            "at": datetime(2013, 7, 1, 12, 30, 0, 5, tzinfo=UTC), "local": datetime(2013, 7, 1), "bytes": b"\x00",
            "list": [1.0, 2.0], "struct": {"a": 1},
        }  # fmt: skip
        store.publish(wanted(), [batch(**{name: [value, None] for name, value in values.items()})])
        assert store.lookup(TABLE, [("N1",), ("N2",)]).rows == [tuple(values.values()), (None,) * len(values)]

    def test_nanoseconds_dictionaries_and_string_views_are_stored_as_plain_values(self, store: OnlineStore) -> None:
        columns = [
            pa.array(["N1"], pa.string_view()), pa.array([1_372_680_000_000_000_001], pa.timestamp("ns", "UTC")),
            pa.array(["A"]).dictionary_encode(),
        ]  # fmt: skip
        store.publish(wanted(), [pa.RecordBatch.from_arrays(columns, ["tail", "at", "maker"])])
        assert store.lookup(TABLE, [("N1",)]).rows == [(datetime(2013, 7, 1, 12, tzinfo=UTC), "A")]

    @pytest.mark.parametrize(
        ("stored", "asked"),
        [
            (7, 7.0), (7, "7"), (0.5, 0.5), (2.0, 2), (date(2013, 7, 1), "2013-07-01"), ("x" * 600, "x" * 600), (True, True),
            (datetime(2013, 7, 1, tzinfo=UTC), "2013-07-01T02:00:00+02:00"), (Decimal("1.50"), 1.5),
        ],
    )  # fmt: skip
    def test_a_key_is_found_by_any_value_that_equals_it(self, store: OnlineStore, stored: Any, asked: Any) -> None:
        store.publish(wanted(), [batch([stored], seats=[1])])
        assert store.lookup(TABLE, [(asked,)]).rows == [(1,)]

    @pytest.mark.parametrize("key", [("N1", "N2"), (), (5,), (1.5,)])
    def test_a_key_that_cannot_be_one_is_refused(self, store: OnlineStore, key: tuple[Any, ...]) -> None:
        store.publish(wanted(), [batch(seats=[1, 2])])
        with pytest.raises(InvalidInput, match="tail"):
            store.lookup(TABLE, [key])

    def test_several_tables_are_asked_at_once(self, store: OnlineStore) -> None:
        routes = pa.RecordBatch.from_pydict({"n": [1.5], "dest": ["LAX"], "origin": ["JFK"]})
        store.publish(wanted(table="routes", keys=("origin", "dest")), [routes])
        store.publish(wanted(table="planes"), [batch(seats=[1, 2])])
        found = store.lookup_many([("planes", [("N2",)]), ("routes", [("JFK", "LAX"), ("LAX", "JFK")]), ("planes", [])])
        assert [f.rows for f in found] == [[(2,)], [(1.5,), None], []]
        with pytest.raises(NotFound, match="nowhere is not published"):
            store.lookup_many([("planes", [("N2",)]), ("nowhere", [("N2",)])])

    def test_rows_that_are_gone_from_the_source_are_gone(self, store: OnlineStore) -> None:
        store.publish(wanted(1), [batch(seats=[1, 2])])
        store.publish(wanted(2), [batch(["N1"], seats=[5])])
        assert store.lookup(TABLE, [("N1",), ("N2",)]).rows == [(5,), None]

    def test_an_update_changes_the_touched_keys_alone(self, store: OnlineStore) -> None:
        store.publish(wanted(1), [batch(["N1", "N2", "N3"], seats=[1, 2, 3])])
        done = store.update(wanted(2), 1, [batch(["N2", "N3", "N4", "N9", None])], [batch(["N2", "N4"], seats=[20, 40])])
        assert store.lookup(TABLE, [(f"N{i}",) for i in range(1, 5)]).rows == [(1,), (20,), None, (40,)]
        assert (done.rows, store.describe(TABLE).version) == (3, 2)

    def test_an_update_of_another_version_or_shape_is_refused(self, store: OnlineStore) -> None:
        store.publish(wanted(1), [batch(seats=[1, 2])])
        for since, rows in ((0, batch(seats=[3, 4])), (1, batch(seats=[3, 4], maker=["A", "B"])), (1, batch(seats=["3", "4"]))):
            with pytest.raises(Conflict, match="publish it again"):
                store.update(wanted(2), since, [rows], [rows])
        assert store.lookup(TABLE, [("N1",)]).rows == [(1,)]

    def test_another_shape_is_served_when_published_whole(self, store: OnlineStore) -> None:
        store.publish(wanted(1), [batch(seats=[1, 2])])
        store.publish(wanted(2), [batch(maker=["A", "B"], seats=["x", "y"])])
        found = store.lookup(TABLE, [("N1",)])
        assert (found.table.columns, found.rows) == (("maker", "seats"), [("A", "x")])

    def test_rows_past_their_time_to_live_are_not_served(self, store: OnlineStore) -> None:
        now = clock.now()
        rows = batch(["N1", "N2", "N3"], at=[now, now - timedelta(hours=2), None], seats=[1, 2, 3])
        store.publish(wanted(time="at", ttl=3600.0), [rows])
        assert [row and row[1] for row in store.lookup(TABLE, [("N1",), ("N2",), ("N3",)]).rows] == [1, None, None]

    def test_without_a_time_the_publication_ages(self, store: OnlineStore, monkeypatch: pytest.MonkeyPatch) -> None:
        store.publish(wanted(ttl=60.0), [batch(seats=[1, 2])])
        assert store.lookup(TABLE, [("N1",)]).rows == [(1,)]
        later = clock.now() + timedelta(minutes=2)
        monkeypatch.setattr(clock, "now", lambda: later)
        assert store.lookup(TABLE, [("N1",)]).rows == [None]

    @pytest.mark.parametrize("chunk", [10, 2])
    def test_two_rows_of_one_key_are_refused_and_the_old_rows_stay(
        self, store: OnlineStore, monkeypatch: pytest.MonkeyPatch, chunk: int
    ) -> None:
        for rows in CHUNKS:
            monkeypatch.setattr(f"boathouse.features.online.{rows}", chunk)
        store.publish(wanted(1), [batch(seats=[1, 2])])
        with pytest.raises(DuplicateKey, match="share"):
            store.publish(wanted(2), [batch(["N2", "N1", "N3", "N2"], seats=[1, 2, 3, 4])])
        assert store.describe(TABLE).version == 1
        assert store.lookup(TABLE, [("N2",), ("N3",)]).rows == [(2,), None]

    def test_many_batches_make_one_table(self, store: OnlineStore, monkeypatch: pytest.MonkeyPatch) -> None:
        for rows in CHUNKS:
            monkeypatch.setattr(f"boathouse.features.online.{rows}", 700)
        parts = [batch([f"N{i}" for i in range(n, 3000, 3)], seats=range(n, 3000, 3)) for n in range(3)]
        assert store.publish(wanted(), iter(parts)).rows == 3000
        assert store.lookup(TABLE, [(f"N{i}",) for i in range(3000)]).rows == [(i,) for i in range(3000)]

    def test_rows_without_a_whole_key_are_left_out(self, store: OnlineStore) -> None:
        assert store.publish(wanted(), [batch(["N1", None, None], seats=[1, 2, 3])]).rows == 1

    def test_an_empty_table_needs_a_schema(self, store: OnlineStore) -> None:
        with pytest.raises(InvalidInput, match="at least one batch, even if empty"):
            store.publish(wanted(), [])
        empty = pa.RecordBatchReader.from_batches(batch(seats=[1, 2]).schema, [])
        assert store.publish(wanted(), empty).rows == 0
        assert store.lookup(TABLE, [("N1",)]).rows == [None]

    def test_keys_must_be_columns_and_names_plain(self, store: OnlineStore) -> None:
        with pytest.raises(InvalidInput, match="bring all of them"):
            store.publish(wanted(keys=("tailnum",)), [batch(seats=[1, 2])])
        with pytest.raises(InvalidInput, match="cannot name an online table"):
            store.publish(wanted(table="../planes"), [batch(seats=[1, 2])])

    def test_a_table_of_keys_alone_says_who_is_in_it(self, store: OnlineStore) -> None:
        store.publish(wanted(), [batch()])
        assert store.lookup(TABLE, [("N1",), ("N3",)]).rows == [(), None]

    def test_a_withdrawn_table_is_not_found_until_it_is_published_again(self, store: OnlineStore) -> None:
        store.publish(wanted(), [batch(seats=[1, 2])])
        store.lookup(TABLE, [("N1",)])
        store.withdraw(TABLE)
        assert store.tables() == []
        for act in (lambda: store.lookup(TABLE, [("N1",)]), lambda: store.withdraw(TABLE)):
            with pytest.raises(NotFound, match="is not published"):
                act()
        store.publish(wanted(), [batch(["N1"], seats=[7])])
        assert store.lookup(TABLE, [("N1",), ("N2",)]).rows == [(7,), None]

    def test_threads_that_read_while_tables_are_published_see_whole_versions(self, store: OnlineStore) -> None:
        names = [f"N{i}" for i in range(50)]
        store.publish(wanted(0), [batch(names, seats=[0] * 50)])
        torn, done = [], threading.Event()

        def read() -> None:
            while not done.is_set():
                found = store.lookup(TABLE, [(name,) for name in names])
                if {row[0] if row else None for row in found.rows} != {found.table.version}:
                    torn.append(found)

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for version in range(1, 20):
            rows = [batch(names, seats=[version] * 50)]
            store.update(wanted(version), version - 1, rows, rows) if version % 2 else store.publish(wanted(version), rows)
        done.set()
        for thread in threads:
            thread.join()
        assert torn == []
        assert store.lookup(TABLE, [("N7",)]).rows == [(19,)]

    def test_it_says_how_it_is(self, store: OnlineStore) -> None:
        store.publish(wanted(), [batch(seats=[1, 2])])
        assert "1 tables" in store.check()
