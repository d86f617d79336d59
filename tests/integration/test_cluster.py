"""The client's calls on a cluster: the same rows as in this process, and the same grants."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from boathouse.client import Lake
from boathouse.errors import DuplicateKey, InvalidInput, NotPermitted, Unavailable
from boathouse.feature_engineering import FeatureEngineeringClient, FeatureFunction, FeatureLookup
from boathouse.lake import Cluster, cluster_at

PLANES = pa.table({"tail": ["N1", "N2"], "seats": [100, 200]})
LOOKUPS = [
    FeatureLookup("features.weather", "origin", timestamp_lookup_key="at", feature_names=["temp"],
                  lookback_window=timedelta(hours=3), default_values={"t": -1.0}, rename_outputs={"temp": "t"}),
    FeatureLookup("features.planes", "tail_number"),
]  # fmt: skip


def hour(number: int) -> datetime:
    return datetime(2024, 1, 1, number, tzinfo=UTC)


WEATHER = pa.table({"origin": ["JFK"] * 3, "hour": [hour(1), hour(3), hour(3)], "known": [hour(1), hour(4), hour(6)],
                    "temp": [1.0, 3.0, 3.5]})  # fmt: skip
SPINE = pa.table({"late": [0, 1, 0, 1], "origin": ["JFK", "JFK", None, "JFK"], "tail_number": ["N2", "N1", "N1", "N9"],
                  "at": [hour(4), hour(3), hour(4), hour(6)]})  # fmt: skip


@pytest.fixture(scope="module")
def both(lake: Lake, spark_address: str) -> Iterator[tuple[Lake, Lake]]:
    """One home through two engines: in this process, and on a cluster."""
    environ = dict(os.environ)
    fe = FeatureEngineeringClient(context=lake)
    fe.create_table(name="features.weather", primary_keys=["origin", "hour"], timeseries_column="hour",
                    known_time_column="known", df=WEATHER)  # fmt: skip
    lake.create_table("features.planes", PLANES, primary_keys=["tail"])
    with Lake(lake.http, "dev", engine=spark_address) as remote:
        yield lake, remote
    os.environ.clear()
    os.environ.update(environ)


def training_set(lake: Lake, df: Any = SPINE, lookups: Any = LOOKUPS) -> Any:
    return FeatureEngineeringClient(context=lake).create_training_set(df=df, feature_lookups=lookups, label="late")


def rows(frame: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (frame.toArrow() if hasattr(frame, "toArrow") else frame.to_arrow()).to_pylist()
    return found


def test_a_training_set_has_the_same_rows_on_both_engines(both: tuple[Lake, Lake]) -> None:
    here, there = (training_set(lake) for lake in both)
    assert rows(there.load_df()) == rows(here.load_df())
    assert [row["t"] for row in rows(there.load_df())] == [3.0, 1.0, -1.0, 3.5]
    assert there.get_output_columns() == here.get_output_columns()
    assert (there.versions, list(there.load_df().toPandas()["t"])) == (here.versions, [3.0, 1.0, -1.0, 3.5])


def test_a_spine_may_be_a_frame_of_the_cluster(both: tuple[Lake, Lake]) -> None:
    cluster = both[1].cluster
    assert cluster
    there = training_set(both[1], cluster.frame(SPINE).where("late = 1"))
    assert [row["t"] for row in rows(there.load_df())] == [1.0, 3.5]


def test_functions_are_computed_on_the_cluster(both: tuple[Lake, Lake]) -> None:
    def doubled(t: float) -> float:
        return t * 2

    both[0].functions.create("features.doubled", doubled)
    lookups = [*LOOKUPS, FeatureFunction(udf_name="features.doubled", input_bindings={"t": "t"}, output_name="twice")]
    here, there = (rows(training_set(lake, lookups=lookups).load_df()) for lake in both)
    assert [row["twice"] for row in there] == [6.0, 2.0, -2.0, 7.0]
    assert there == here


def test_a_table_is_written_from_a_frame_of_the_cluster_and_read_as_one(both: tuple[Lake, Lake]) -> None:
    fe = FeatureEngineeringClient(context=both[1])
    assert both[1].cluster
    correction = pa.table({"origin": ["LGA"] * 2, "hour": [hour(1)] * 2, "known": [hour(1), hour(2)], "temp": [7.0, 8.0]})
    fe.write_table(name="features.weather", df=both[1].cluster.frame(correction))
    assert [row["temp"] for row in rows(fe.read_table(name="features.weather").where("origin = 'LGA'"))] == [8.0]


def test_a_model_that_was_logged_there_scores_batches_and_files_alike_on_both(
    both: tuple[Lake, Lake], command: Any, spark_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.sklearn
    from sklearn.linear_model import LinearRegression

    fe = FeatureEngineeringClient(context=both[1])
    examples = fe.create_training_set(
        df=SPINE, feature_lookups=LOOKUPS[:1], label="late", exclude_columns=["origin", "at", "tail_number"]
    )
    frame = examples.load_df().toPandas()
    model = LinearRegression().fit(frame[["t"]], frame["late"])
    fe.log_model(
        model=model, artifact_path="model", flavor=mlflow.sklearn, training_set=examples, registered_model_name="features.late"
    )
    here, there = (
        FeatureEngineeringClient(context=each).score_batch(model_uri="models:/features.late/1", df=SPINE) for each in both
    )
    assert rows(there) == rows(here)
    assert hasattr(there, "toArrow")
    monkeypatch.setenv("BOATHOUSE_ENGINE", spark_address)
    (tmp_path / "asked.csv").write_text("origin,at\nJFK,2024-01-01T04:00:00Z\nJFK,2024-01-01T06:00:00Z\n")
    code, said = command("score", "models:/features.late/1", str(tmp_path / "asked.csv"), str(tmp_path / "scored.json"))
    assert (code, said.startswith("2 rows scored")) == (0, True), said
    scored = json.loads((tmp_path / "scored.json").read_text())
    assert [r["prediction"] for r in scored] == [rows(there)[n]["prediction"] for n in (0, 3)]


def test_a_table_with_a_mask_is_refused(both: tuple[Lake, Lake]) -> None:
    both[0].create_table("features.secrets", {"k": "string", "v": "double"}, primary_keys=["k"])
    both[0].describe_table("features.secrets", masks={"v": "null"})
    with pytest.raises(NotPermitted, match=r"dev.features.secrets is read through the server alone.*lake.sql"):
        FeatureEngineeringClient(context=both[1]).read_table(name="features.secrets")


def test_a_doubled_key_is_named(both: tuple[Lake, Lake]) -> None:
    table = both[0].create_table("features.doubles", PLANES, primary_keys=["tail"])
    table.append(PLANES)
    with pytest.raises(DuplicateKey, match=r"features.doubles holds 2 rows for tail=N[12]: keep one row"):
        training_set(both[1], lookups=[FeatureLookup("features.doubles", "tail_number")])


def test_a_table_of_one_text_key_that_was_merged_is_read(both: tuple[Lake, Lake]) -> None:
    FeatureEngineeringClient(context=both[0]).create_table(name="features.merged", primary_keys="tail", df=PLANES)
    assert len(rows(FeatureEngineeringClient(context=both[1]).read_table(name="features.merged"))) == 2


def test_a_cluster_that_does_not_answer_is_named(spark_client: None) -> None:
    with pytest.raises(Unavailable, match=r"Spark Connect at sc://127.0.0.1:1"):
        _ = Cluster("sc://127.0.0.1:1").session
    with pytest.raises(InvalidInput, match="it is duckdb, or sc://host:port"):
        cluster_at("spark")


def test_a_session_that_the_server_ended_is_begun_anew(spark_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boathouse.lake.cluster._IDLE", 0.0)
    cluster = Cluster(spark_address)
    ended = cluster.session
    assert cluster.session is ended
    ended.client.release_session()
    assert cluster.frame(PLANES).toArrow().equals(PLANES)
    assert cluster.session is not ended
    cluster.session.client.release_session()
    cluster.close()


def test_the_doctor_says_which_engine_answers(
    command: Any, spark_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOATHOUSE_ENGINE", spark_address)
    assert f"{spark_address} answers" in command("doctor", "--json")[1]
