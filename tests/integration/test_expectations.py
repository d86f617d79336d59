"""What a table expects of its rows: counted, kept aside or refused, by whichever way they come."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from boathouse.cli.expectations import print_expectations
from boathouse.client import Lake
from boathouse.errors import Conflict, ExpectationsFailed, InvalidInput
from boathouse.feature_engineering import FeatureEngineeringClient
from boathouse.feature_engineering.discovery import freshness

COLD = [{"id": 1, "temp": 10.0}, {"id": 2, "temp": -99.0}, {"id": 3, "temp": None}]


@pytest.fixture(scope="module")
def fe(lake: Lake) -> FeatureEngineeringClient:
    return FeatureEngineeringClient(context=lake)


def make(fe: FeatureEngineeringClient, name: str, action: str, **more: Any) -> None:
    warm = {"warm": {"expr": "temp > -90", "action": action}}
    fe.create_table(name=name, primary_keys="id", schema={"id": "bigint", "temp": "double"}, expectations=warm, **more)


def ids(lake: Lake, name: str) -> list[int]:
    return sorted(r["id"] for r in lake.table(name).read().to_dicts())


def test_warn_writes_every_row_and_counts(fe: FeatureEngineeringClient, lake: Lake) -> None:
    make(fe, "features.warned", "warn")
    fe.write_table(name="features.warned", df=COLD)
    assert ids(lake, "features.warned") == [1, 2, 3]
    [check] = lake.table_info("features.warned").checks
    assert (check["outcome"], check["rows"], check["written"], check["failed"]) == ("written", 3, 3, {"warm": 2})
    assert not lake.table_exists("features.warned_quarantine")


def test_drop_keeps_bad_rows_aside_and_writes_the_others(fe: FeatureEngineeringClient, lake: Lake) -> None:
    make(fe, "features.dropped", "drop")
    fe.write_table(name="features.dropped", df=COLD)
    assert ids(lake, "features.dropped") == [1]
    aside = sorted(lake.table("features.dropped_quarantine").read().to_dicts(), key=lambda r: r["id"])
    assert [(r["id"], r["temp"], r["_failed"]) for r in aside] == [(2, -99.0, ["warm"]), (3, None, ["warm"])]
    assert datetime.now(UTC) - aside[0]["_quarantined_at"] < timedelta(hours=1)


def test_fail_writes_nothing_and_says_where_the_batch_is(fe: FeatureEngineeringClient, lake: Lake) -> None:
    make(fe, "features.refused", "fail")
    for _ in range(2):
        with pytest.raises(ExpectationsFailed, match=r"rows fail warm: .*\(2 of 3\).*features\.refused_quarantine") as raised:
            fe.write_table(name="features.refused", df=COLD)
    assert raised.value.details["failed"] == {"warm": 2}
    assert ids(lake, "features.refused") == []
    rows = lake.sql("select id, _failed from features.refused_quarantine order by id").to_dicts()
    assert rows == [{"id": 1, "_failed": []}, {"id": 2, "_failed": ["warm"]}, {"id": 3, "_failed": ["warm"]}]
    assert [c["outcome"] for c in lake.table_info("features.refused").checks] == ["refused", "refused"]


def test_rows_of_a_quarantine_are_mended_and_written_again(fe: FeatureEngineeringClient, lake: Lake) -> None:
    make(fe, "features.mended", "fail")
    with pytest.raises(ExpectationsFailed) as raised:
        fe.write_table(name="features.mended", df=COLD)
    aside = f"features.mended_quarantine WHERE _batch = '{raised.value.details['batch']}'"
    again = f"INSERT INTO features.mended BY NAME SELECT * EXCLUDE (_failed, _batch, _number, _run, _quarantined_at) FROM {aside}"
    with pytest.raises(ExpectationsFailed):
        lake.sql(again)
    lake.sql("UPDATE features.mended_quarantine SET temp = 0 WHERE temp IS NULL OR temp < 0")
    lake.sql(again)
    lake.sql(f"DELETE FROM {aside}")
    assert ids(lake, "features.mended") == [1, 2, 3]


def test_what_refuses_a_batch_is_named_before_what_its_rows_fail_besides(lake: Lake) -> None:
    rules = {"even": {"expr": "n % 2 = 0", "action": "drop"}, "small": {"expr": "n < 9", "action": "fail"}, "any": "n < 99"}
    table = lake.create_table("raw.ordered", {"n": "bigint"}, expectations=rules)
    told = r"since rows fail small: n < 9 \(1 of 3\); rows also fail even: n % 2 = 0 \(2 of 3\); the whole batch is in"
    with pytest.raises(ExpectationsFailed, match=told):
        table.append([{"n": 1}, {"n": 2}, {"n": 11}])


def test_of_columns_that_a_merge_lacks_the_tables_own_values_are_asked(fe: FeatureEngineeringClient, lake: Lake) -> None:
    make(fe, "features.partly", "drop")
    fe.write_table(name="features.partly", df=[{"id": 2, "temp": 20.0}, {"id": 1, "temp": 10.0}])
    fe.write_table(name="features.partly", df=[{"id": 3, "wind": 3.0}, {"id": 1, "wind": 1.0}])
    rows = sorted(lake.table("features.partly").read().to_dicts(), key=lambda r: r["id"])
    assert rows == [{"id": 1, "temp": 10.0, "wind": 1.0}, {"id": 2, "temp": 20.0, "wind": None}]
    [aside] = lake.table("features.partly_quarantine").read().to_dicts()
    assert (aside["id"], aside["temp"], aside["_failed"]) == (3, None, ["warm"])


def test_appends_overwrites_and_sql_are_asked_too(lake: Lake) -> None:
    lake.create_table("raw.asked", {"id": "bigint"}, expectations={"positive": {"expr": "id > 0", "action": "drop"}})
    lake.table("raw.asked").append([{"id": 1}, {"id": -1}])
    lake.sql("insert into raw.asked values (2), (-2)")
    assert ids(lake, "raw.asked") == [1, 2]
    lake.table("raw.asked").overwrite([{"id": 3}, {"id": -3}])
    assert (ids(lake, "raw.asked"), ids(lake, "raw.asked_quarantine")) == ([3], [-3, -2, -1])


def asked(lake: Lake, name: str, action: str, **more: Any) -> None:
    positive = {"positive": {"expr": "n > 0", "action": action}}
    lake.create_table(name, {"id": "bigint", "n": "bigint", "word": "string"}, expectations=positive, **more)
    lake.table(name).append([{"id": 1, "n": 1, "word": "a"}, {"id": 2, "n": 2, "word": None}, {"id": 3, "n": 3, "word": "c"}])


def pairs(lake: Lake, name: str, second: str = "n") -> list[tuple[Any, Any]]:
    return sorted((r["id"], r[second]) for r in lake.table(name).read().to_dicts())


@pytest.mark.parametrize("how", ["sql", "unlike", "python", "served"])
def test_a_row_that_an_update_would_spoil_stays_as_it_was(lake: Lake, how: str) -> None:
    name = f"raw.updated_{how}"
    asked(lake, name, "drop", primary_keys=["id"])
    if how == "python":
        lake.table(name).update({"n": "n - 2"}, "id <> 2")
    elif how == "served":
        lake.work(lake.complete(name), "update", {"values": {"n": "n - 2"}, "where": "id <> 2"}, None)
    else:
        lake.sql(f"update {name} set n = {'n - 2' if how == 'sql' else '(n::hugeint - 2)::bigint'} where id <> 2")
    assert pairs(lake, name) == [(1, 1), (2, 2), (3, 1)]
    assert pairs(lake, f"{name}_quarantine") == [(1, -1)]
    assert lake.table_info(name).checks[0]["failed"] == {"positive": 1}


def test_an_update_or_merge_that_fails_an_expectation_writes_nothing(lake: Lake) -> None:
    asked(lake, "raw.held", "fail", primary_keys=["id"])
    version = lake.table("raw.held").version
    for statement in ("update raw.held set n = n - 1", "merge into raw.held t using (select 1 as id) s on t.id = s.id "
                      "when matched then update set n = 0"):  # fmt: skip
        with pytest.raises(ExpectationsFailed, match=r"positive: .* \(1 of [13]\)"):
            lake.sql(statement)
    assert lake.table("raw.held").version == version
    lake.sql("update raw.held set word = 'same', n = n + 1 where id < 3")
    assert pairs(lake, "raw.held") == [(1, 2), (2, 3), (3, 3)]


def test_rows_of_an_update_without_keys_to_tell_them_by_are_refused_together(lake: Lake) -> None:
    asked(lake, "raw.keyless", "drop")
    with pytest.raises(InvalidInput, match="no primary keys by which rows"):
        lake.sql("update raw.keyless set n = n - 1")
    lake.sql("update raw.keyless set n = n + 1")
    assert pairs(lake, "raw.keyless") == [(1, 2), (2, 3), (3, 4)]


def test_a_merge_leaves_out_the_rows_of_its_source_that_would_spoil_the_table(lake: Lake) -> None:
    asked(lake, "raw.merged", "drop")
    lake.sql("""merge into raw.merged t using (
                  select * from (values (1, -1, 'spoilt'), (2, 20, 'good'), (3, 0, 'gone'), (4, -4, 'bad'), (5, 5, 'new'))
                  v(id, n, "the word")
                ) s on t.id = s.id when matched and s.n = 0 then delete
                when matched then update set n = s.n, word = s."the word"
                when not matched then insert (id, n, word) values (s.id, s.n, s."the word")
                when not matched by source then delete""")
    assert pairs(lake, "raw.merged") == [(1, 1), (2, 20), (5, 5)]
    assert pairs(lake, "raw.merged", "word") == [(1, "a"), (2, "good"), (5, "new")]
    assert pairs(lake, "raw.merged_quarantine", "word") == [(1, "spoilt"), (4, "bad")]


def test_a_row_that_no_source_row_stands_for_cannot_be_left_out_of_a_merge(lake: Lake) -> None:
    asked(lake, "raw.by_source", "drop")
    with pytest.raises(InvalidInput, match="cannot be left out of this MERGE"):
        lake.sql("merge into raw.by_source t using (select 1 as id) s on t.id = s.id "
                 "when not matched by source then update set n = 0")  # fmt: skip
    assert pairs(lake, "raw.by_source") == [(1, 1), (2, 2), (3, 3)]


def test_filled_columns_are_asked_too(lake: Lake) -> None:
    asked(lake, "raw.filled", "drop")
    lake.table("raw.filled").fill([{"id": 1, "n": -1}, {"id": 2, "n": 7}], ["id"], ["n"])
    assert (pairs(lake, "raw.filled"), pairs(lake, "raw.filled_quarantine")) == ([(1, 1), (2, 7), (3, 3)], [(1, -1)])


def test_a_stream_leaves_each_row_once_in_one_of_the_two(fe: FeatureEngineeringClient, lake: Lake, tmp_path: Path) -> None:
    lake.create_table("raw.readings", COLD)
    make(fe, "features.followed", "drop")

    def follow() -> None:
        query = fe.write_table(name="features.followed", df=lake.table("raw.readings").stream(),
                               checkpoint_location=str(tmp_path), trigger={"availableNow": True})  # fmt: skip
        assert query is not None
        assert query.awaitTermination(60)

    follow()
    lake.table("raw.readings").append([{"id": 4, "temp": -100.0}])
    follow()
    version = lake.table("features.followed").version
    follow()
    assert (ids(lake, "features.followed"), ids(lake, "features.followed_quarantine")) == ([1], [2, 3, 4])
    assert lake.table("features.followed").version == version


def test_what_was_kept_aside_before_a_crash_is_kept_once(lake: Lake) -> None:
    lake.create_table("raw.killed", {"id": "bigint"}, expectations={"positive": {"expr": "id > 0", "action": "drop"}})
    table = lake.table("raw.killed")
    whole = table._folder.append
    table._folder.append = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        table.append([{"id": 1}, {"id": -1}], transaction=("stream", 5))
    table._folder.append = whole  # type: ignore[method-assign]
    for _ in range(2):  # more came meanwhile, and the second time it was written
        table.append([{"id": 1}, {"id": -1}, {"id": -2}], transaction=("stream", 8))
    assert (ids(lake, "raw.killed"), ids(lake, "raw.killed_quarantine")) == ([1], [-2, -1])


def test_expectations_are_set_and_removed(lake: Lake) -> None:
    lake.create_table("raw.changed", {"id": "bigint"})
    lake.set_expectations("raw.changed", {"positive": "id > 0", "small": {"expr": "id < 9", "action": "fail"}})
    left = lake.remove_expectation("raw.changed", "small").expectations
    assert left == {"positive": {"expr": "id > 0", "action": "warn"}}
    with pytest.raises(InvalidInput, match="no expectation 'small'; it has positive"):
        lake.remove_expectation("raw.changed", "small")


@pytest.mark.parametrize("said", [
    {"expr": "nothing > 1"}, {"expr": "id >"}, {"expr": "(select count(*) from raw.changed) > 1"}, {"action": "drop"},
    {"expr": "getenv('HOME') = id"}, {"expr": "id > 0", "action": "explode"}, {"expr": "id > 0", "level": 1}, 7,
])  # fmt: skip
def test_an_expectation_that_cannot_be_asked_makes_no_table(lake: Lake, said: Any) -> None:
    with pytest.raises(InvalidInput, match=r"raw\.never.*odd"):
        lake.create_table("raw.never", {"id": "bigint"}, expectations={"odd": said})
    assert not lake.table_exists("raw.never")


def test_a_table_that_has_the_quarantines_name_is_not_touched(lake: Lake) -> None:
    lake.create_table("raw.mine_quarantine", [{"id": 7}])
    lake.create_table("raw.mine", {"id": "bigint"}, expectations={"positive": {"expr": "id > 0", "action": "drop"}})
    with pytest.raises(Conflict, match=r"raw\.mine_quarantine"):
        lake.table("raw.mine").append([{"id": -1}])
    assert (ids(lake, "raw.mine"), ids(lake, "raw.mine_quarantine")) == ([], [7])


def test_a_quarantine_has_the_grants_and_masks_of_its_table_and_goes_with_it(fe: FeatureEngineeringClient, lake: Lake) -> None:
    make(fe, "features.guarded", "drop")
    kept = "features.guarded_quarantine"

    def change(verb: str, privilege: str) -> set[tuple[str, str]]:
        body = {"principal": "business-analysts", "privilege": privilege, "kind": "table"}
        lake.call("POST", f"/api/v1/grants{verb}", {**body, "securable": lake.complete("features.guarded")})
        rows = lake.call("GET", f"/api/v1/grants?kind=table&name={lake.complete(kept)}")
        return {(r["principal"], r["privilege"]) for r in rows}

    change("", "SELECT")
    fe.write_table(name="features.guarded", df=COLD)
    assert change("", "MODIFY") == {("business-analysts", "SELECT"), ("business-analysts", "MODIFY")}
    assert change("/revoke", "SELECT") == {("business-analysts", "MODIFY")}
    lake.describe_table("features.guarded", masks={"temp": "0.0"})
    assert {r["temp"] for r in lake.table(kept).read().to_dicts()} == {0.0}
    fe.write_table(name="features.guarded", df=[{"id": 8, "temp": -95.0}])
    assert ids(lake, kept) == [2, 3, 8]
    lake.drop_table("features.guarded")
    assert not lake.table_exists(kept)


def test_show_prints_expectations_counts_and_freshness(fe: FeatureEngineeringClient, lake: Lake,
                                                       capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    schema = {"id": "bigint", "at": "timestamp"}
    fe.create_table(name="features.fresh", primary_keys=["id", "at"], timeseries_column="at", schema=schema,
                    freshness=timedelta(days=1), expectations={"positive": "id > 0"})  # fmt: skip
    fe.write_table(name="features.fresh", df=[{"id": -1, "at": datetime.now(UTC) - timedelta(days=2)}])
    assert freshness(lake, lake.table_info("features.fresh"))["state"] == "late"
    fe.write_table(name="features.fresh", df=[{"id": 1, "at": datetime.now(UTC)}])
    info = lake.table_info("features.fresh")
    assert freshness(lake, info)["state"] == "ok"
    assert [c["failed"]["positive"] for c in info.checks] == [0, 1]
    print_expectations(info)
    assert "positive: 1" in capsys.readouterr().out
