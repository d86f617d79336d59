"""Skew between the online store and the lakehouse, and between the inference log and the lakehouse."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import mlflow.sklearn
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from boathouse import clock
from boathouse.client import Lake
from boathouse.errors import Conflict
from boathouse.feature_engineering import FeatureEngineeringClient, FeatureFunction, FeatureLookup, SkewReport
from boathouse.features.online.embedded import EmbeddedStore
from boathouse.serving import PAYLOAD_SCHEMA

pytestmark = pytest.mark.xdist_group("skew")
HOUR = datetime(2024, 1, 1, tzinfo=UTC)


def rows(hour: int, **temps: float | None) -> pd.DataFrame:
    at = HOUR + timedelta(hours=hour)
    return pd.DataFrame({"origin": list(temps), "hour": at, "temp": pd.Series(list(temps.values()), dtype="float64")})


def mismatches(found: SkewReport) -> dict[str, dict[str, int]]:
    return {f.feature: {reason: n for reason, n in f.mismatches.items() if n} for f in found.features}


@pytest.fixture(scope="module")
def fe(lake: Lake) -> FeatureEngineeringClient:
    client = FeatureEngineeringClient()
    client.create_table(name="features.weather", primary_keys=["origin", "hour"], timeseries_column="hour",
                        df=rows(0, JFK=1.0, LGA=2.0, EWR=None))  # fmt: skip
    client.publish_table(source_table_name="features.weather")
    return client


def test_what_was_just_published_has_no_skew(fe: FeatureEngineeringClient) -> None:
    found = fe.skew("features.weather")
    assert (found.rows, found.percent, found.only_online, found.only_lakehouse) == (3, 0.0, 0, 0)
    assert mismatches(found) == {"hour": {}, "temp": {}}


def test_newer_rows_corrections_and_new_keys_are_told_apart(fe: FeatureEngineeringClient) -> None:
    fe.write_table(name="features.weather", df=rows(1, JFK=5.0))  # an event since the publish
    fe.write_table(name="features.weather", df=rows(0, LGA=2.5, PHL=9.0))  # a correction, and a key
    found = fe.skew("features.weather")
    assert mismatches(found) == {"hour": {"stale_publish": 1}, "temp": {"stale_publish": 1, "late_data": 1}}
    assert (found.rows, found.only_lakehouse) == (4, 1)
    assert fe.skew("features.weather", sample=2).rows == 2


def test_the_command_fails_over_a_limit(fe: FeatureEngineeringClient, command: Callable[..., tuple[int, str]]) -> None:
    code, said = command("features", "skew", "features.weather", "--fail-over", "1")
    assert (code, "of the values mismatch, more than the 1 %" in said) == (1, True)
    fe.publish_table(source_table_name="features.weather")
    code, said = command("features", "skew", "features.weather", "--fail-over", "0")
    assert (code, "0.00 % of the values mismatch" in said) == (0, True)


def test_rows_past_their_time_to_live_are_not_missed(fe: FeatureEngineeringClient, monkeypatch: pytest.MonkeyPatch) -> None:
    fe.create_table(name="features.live", primary_keys=["origin", "hour"], timeseries_column="hour", df=rows(0, JFK=1.0, LGA=2.0))
    fe.write_table(name="features.live", df=rows(2, JFK=3.0))
    monkeypatch.setattr(clock, "now", lambda: HOUR + timedelta(hours=1))
    fe.publish_table(source_table_name="features.live", ttl=timedelta(minutes=90))
    assert fe.skew("features.live").percent == 0
    monkeypatch.setattr(clock, "now", lambda: HOUR + timedelta(hours=3))  # both are past it, and JFK has a newer row
    found = fe.skew("features.live")
    assert (found.rows, found.only_online, found.only_lakehouse) == (1, 0, 1)
    fe.publish_table(source_table_name="features.live", ttl=timedelta(minutes=90))
    assert fe.skew("features.live").percent == 0


def test_a_row_whose_time_has_come_is_a_stale_publish(fe: FeatureEngineeringClient, monkeypatch: pytest.MonkeyPatch) -> None:
    fe.create_table(name="features.due", primary_keys=["origin", "hour"], timeseries_column="hour", df=rows(0, JFK=1.0))
    fe.write_table(name="features.due", df=rows(2, JFK=3.0))
    monkeypatch.setattr(clock, "now", lambda: HOUR + timedelta(hours=1))
    fe.publish_table(source_table_name="features.due")
    assert fe.skew("features.due").percent == 0
    monkeypatch.setattr(clock, "now", lambda: HOUR + timedelta(hours=3))
    assert mismatches(fe.skew("features.due")) == {"hour": {"stale_publish": 1}, "temp": {"stale_publish": 1}}


def test_columns_that_have_another_type_or_are_gone_are_told(lake: Lake, fe: FeatureEngineeringClient) -> None:
    table = pa.table({"key": ["a", "b"], "size": [1.0, 2.0], "old": [1, 2], "same": [1, 2]})
    fe.create_table(name="features.shapes", primary_keys="key", df=table)
    fe.publish_table(source_table_name="features.shapes")
    other = pa.table({"key": ["a", "b"], "size": ["1", "2"], "same": [1, 2]})
    lake.table("features.shapes").overwrite(other, evolve=True)
    found = fe.skew("features.shapes")
    assert mismatches(found) == {"same": {}, "size": {"stale_publish": 2}}
    assert found.notes == ("served, and no longer in the table: old",)
    fe.publish_table(source_table_name="features.shapes")
    assert fe.skew("features.shapes").percent == 0


def test_a_publication_that_lands_meanwhile_is_measured_instead(
    fe: FeatureEngineeringClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    fe.create_table(name="features.busy", primary_keys="key", df=pa.table({"key": list("abc"), "size": [1, 2, 3]}))
    fe.publish_table(source_table_name="features.busy")
    asked, lookup = [], EmbeddedStore.lookup

    def after_a_publication(store: EmbeddedStore, table: str, keys: Any) -> Any:
        asked.append(len(keys))
        if len(asked) in writes:
            fe.write_table(name="features.busy", df=pa.table({"key": ["a"], "size": [10 * len(asked)]}))
            fe.publish_table(source_table_name="features.busy")
        return lookup(store, table, keys)

    monkeypatch.setattr(EmbeddedStore, "lookup", after_a_publication)
    writes = {1, 2}
    found = fe.skew("features.busy")
    assert (found.rows, found.percent) == (3, 0.0)
    assert len(asked) > 2
    writes = set(range(20))
    with pytest.raises(Conflict, match="measure a smaller sample"):
        fe.skew("features.busy")


def double(temp: float | None) -> float:
    return 2 * (temp or 0.0)


def triple(temp: float | None) -> float:
    return 3 * (temp or 0.0)


def test_served_vectors_are_read_again_at_their_own_times(lake: Lake, fe: FeatureEngineeringClient) -> None:
    lake.functions.create("features.more", double)
    lookups: list[FeatureLookup | FeatureFunction] = [
        FeatureLookup("features.weather", "origin", feature_names="temp", timestamp_lookup_key="at"),
        FeatureFunction(udf_name="features.more", output_name="more"),
    ]
    spine = pd.DataFrame({"origin": ["JFK", "LGA"] * 3, "at": [HOUR + timedelta(hours=2)] * 6, "late": [0, 1] * 3})
    made = fe.create_training_set(df=spine, feature_lookups=lookups, label="late", exclude_columns=["origin", "at"])
    examples = made.load_df().to_pandas()
    fe.log_model(model=LogisticRegression().fit(examples[["temp", "more"]], examples["late"]), artifact_path="model",
                 flavor=mlflow.sklearn, training_set=made, registered_model_name="flights.skewed",
                 pip_requirements=["scikit-learn", "pandas", "skops"])  # fmt: skip
    version = lake.table("features.weather").version
    asked = clock.now()
    served = [  # origin, temp, more, and whether the request gave temp
        ("JFK", 5.0, 10.0, False), ("LGA", 2.5, 5.0, False), ("PHL", 9.0, 18.0, False), ("JFK", 7.0, 14.0, True),
        ("JFK", 6.0, 12.0, False),
    ]  # fmt: skip
    log = [
        {"request_id": str(i), "request_time": asked, "request_date": asked.date(), "model_version": "1", "status_code": 200,
         "endpoint": "skewed", "request": json.dumps({"dataframe_records": [{"origin": o} | ({"temp": t} if given else {})]}),
         "response": "{}", "features": json.dumps([{"origin": o, "temp": t, "more": m}]),
         "feature_versions": json.dumps({} if given else {"features.weather": version})}
        for i, (o, t, m, given) in enumerate(served)
    ]  # fmt: skip
    lake.create_table("flights.skewed_payload", pa.Table.from_pylist(log, PAYLOAD_SCHEMA))
    assert mismatches(fe.skew(model="flights.skewed")) == {"temp": {"override": 1, "unexplained": 1}, "more": {}}
    fe.write_table(name="features.weather", df=rows(0, LGA=3.5))  # committed after the requests
    lake.functions.create("features.more", triple, replace=True)
    found = mismatches(fe.skew(model="flights.skewed"))
    assert found == {"temp": {"override": 1, "unexplained": 1, "late_data": 1}, "more": {"changed_function": 5}}


def test_times_that_functions_take_and_give_are_compared_as_times(lake: Lake, fe: FeatureEngineeringClient) -> None:
    body = "from datetime import timedelta\nreturn since + timedelta(days=days)"
    declared = "features.due(since TIMESTAMP, days INT) RETURNS TIMESTAMP"
    lake.functions.execute(f"CREATE FUNCTION {declared} LANGUAGE PYTHON AS $$\n{body}\n$$")
    fe.create_table(name="features.since", primary_keys="key", df=pd.DataFrame({"key": ["a", "b"], "since": [HOUR] * 2}))
    spine = pd.DataFrame({"key": ["a", "b"] * 3, "days": [1, 2] * 3, "late": [0, 1] * 3})
    due = FeatureFunction(udf_name="features.due", output_name="due")
    made = fe.create_training_set(df=spine, feature_lookups=[FeatureLookup("features.since", "key"), due], label="late",
                                  exclude_columns=["key", "since"])  # fmt: skip
    model = DummyClassifier().fit(spine[["days"]], spine["late"])
    fe.log_model(model=model, artifact_path="model", flavor=mlflow.sklearn, training_set=made,
                 registered_model_name="flights.timed", pip_requirements=["scikit-learn"])  # fmt: skip
    fe.publish_table(source_table_name="features.since")
    asked, version, first = clock.now(), lake.table("features.since").version, HOUR.isoformat()
    served = [{"key": "a", "days": 1, "since": first, "due": (HOUR + timedelta(days=1)).isoformat()},
              {"key": "b", "days": 2, "since": first, "due": (HOUR + timedelta(days=9)).isoformat()},
              {"key": "b", "days": None, "since": first, "due": first}]  # fmt: skip
    log = [
        {"request_id": str(i), "request_time": asked, "request_date": asked.date(), "model_version": "1", "status_code": 200,
         "endpoint": "timed", "response": "{}", "features": json.dumps([row]),
         "request": json.dumps({"dataframe_records": [row if row["days"] is None else {"key": row["key"], "days": row["days"]}]}),
         "feature_versions": json.dumps({"features.since": version})}
        for i, row in enumerate(served)
    ]  # fmt: skip
    lake.create_table("flights.timed_payload", pa.Table.from_pylist(log, PAYLOAD_SCHEMA))
    found = mismatches(fe.skew(model="flights.timed"))
    assert found["due"] == {"unexplained": 1, "override": 1}


def serve(lake: Lake, fe: FeatureEngineeringClient, name: str, table: pd.DataFrame,
          served: list[tuple[str, float | None, datetime]], **published: Any) -> dict[str, dict[str, int]]:  # fmt: skip
    """A model on a table that is published so, and what it answered: (key, value, when). The mismatches."""
    times = {"primary_keys": ["key", "at"], "timeseries_column": "at"} if "at" in table else {"primary_keys": ["key"]}
    fe.create_table(name=f"features.{name}", df=table, **times)
    lookup = FeatureLookup(f"features.{name}", "key", feature_names="v", timestamp_lookup_key="t" if "at" in table else None)
    spine = pd.DataFrame({"key": ["a", "b"] * 3, "t": [clock.now()] * 6, "late": [0, 1] * 3})
    made = fe.create_training_set(df=spine, feature_lookups=[lookup], label="late", exclude_columns=["key", "t"])
    fe.log_model(model=LogisticRegression().fit([[1.0], [2.0]], [0, 1]), artifact_path="model", flavor=mlflow.sklearn,
                 training_set=made, registered_model_name=f"flights.{name}", pip_requirements=["scikit-learn"])  # fmt: skip
    fe.publish_table(source_table_name=f"features.{name}", **published)
    version = lake.table(f"features.{name}").version
    log = [
        {"request_id": str(i), "request_time": at, "request_date": at.date(), "model_version": "1", "status_code": 200,
         "endpoint": name, "request": json.dumps({"dataframe_records": [{"key": key}]}), "response": "{}",
         "features": json.dumps([{"key": key, "v": v}]), "feature_versions": json.dumps({f"features.{name}": version})}
        for i, (key, v, at) in enumerate(served)
    ]  # fmt: skip
    lake.create_table(f"flights.{name}_payload", pa.Table.from_pylist(log, PAYLOAD_SCHEMA))
    return mismatches(fe.skew(model=f"flights.{name}"))


def test_rows_that_a_publication_leaves_out_are_told_from_stale_ones(lake: Lake, fe: FeatureEngineeringClient) -> None:
    now = clock.now()
    hours = pd.DataFrame({"key": ["a", "b"], "at": [now - timedelta(hours=1), now - timedelta(hours=30)], "v": [1.0, 2.0]})
    served = [("a", 1.0, now), ("b", None, now), ("b", 2.0, now - timedelta(hours=25)), ("a", None, now)]
    found = serve(lake, fe, "aged", hours, served, ttl=timedelta(hours=10))
    assert found == {"v": {"left_out": 1, "unexplained": 1}}
    found = serve(lake, fe, "chosen", hours, served[:2], filter_condition="v < 1.5")
    assert found == {"v": {"left_out": 1}}
    found = serve(lake, fe, "forgotten", hours[["key", "v"]], served, ttl=timedelta(hours=10))
    assert found == {"v": {"stale_publish": 2}}  # by its last publication: publishing again helps


def test_a_served_row_is_stale_once_the_time_of_another_has_come(
    lake: Lake, fe: FeatureEngineeringClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    hours = [now + timedelta(hours=h) for h in (-1, 1, 2, 3)]
    table = pd.DataFrame({"key": ["a"] * 4 + ["b"], "at": [*hours, hours[0]], "v": [0.0, 1.0, 2.0, 3.0, 9.0]})
    served = [("a", 0.0, now), ("a", 0.0, now + timedelta(hours=2.5)), ("a", 2.0, now + timedelta(hours=2.5))]
    counts = {"v": {"stale_publish": 1, "unexplained": 1}}
    assert serve(lake, fe, "hourly", table, [*served, ("a", 7.0, now)]) == counts
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(hours=2.5))
    assert mismatches(fe.skew(model="flights.hourly")) == counts
