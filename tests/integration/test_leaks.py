"""The leak report through Python and the command line, on real tables and a real model."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from boathouse.client import Lake
from boathouse.errors import InvalidInput
from boathouse.feature_engineering import FeatureEngineeringClient, FeatureLookup
from boathouse.training import TrainingSet

pytestmark = pytest.mark.xdist_group("leaks")
START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = 400
HOURS = [START + timedelta(hours=i) for i in range(ROWS)]
LABELS = np.random.default_rng(0).integers(0, 2, ROWS)
SPINE = pd.DataFrame({"origin": "JFK", "at": [h + timedelta(minutes=10) for h in HOURS], "late": LABELS})


@pytest.fixture(scope="module")
def training_set(lake: Lake) -> TrainingSet:
    """Each hour's delay is guessed at once, and corrected a day later to what the label will be."""
    fe = FeatureEngineeringClient()
    noise = np.random.default_rng(1).normal(size=ROWS)
    guessed = pd.DataFrame({"origin": "JFK", "hour": HOURS, "known": HOURS, "delay": noise})
    corrected = guessed.assign(known=[h + timedelta(days=1) for h in HOURS], delay=LABELS + 0.1 * noise)
    fe.create_table(name="features.delays", primary_keys=["origin", "hour"], timeseries_column="hour",
                    known_time_column="known", df=pd.concat([guessed, corrected]))  # fmt: skip
    fe.create_table(name="features.gates", primary_keys=["origin"], df=pd.DataFrame({"origin": ["JFK"], "gates": [8.0]}))
    return fe.create_training_set(df=SPINE, feature_lookups=LOOKUPS, label="late", exclude_columns=["origin", "at"])


LOOKUPS = [
    FeatureLookup("features.delays", "origin", feature_names="delay", timestamp_lookup_key="at"),
    FeatureLookup("features.gates", "origin"),
]


def test_every_row_would_have_read_its_correction(training_set: TrainingSet) -> None:
    found = training_set.leaks()
    assert (found.rows, found.naive_rows, found.retrained) == (ROWS, ROWS, ())
    assert {f.feature: f.naive_rows for f in found.features} == {"delay": ROWS, "gates": 0}


def test_a_table_without_known_time_is_compared_by_its_commits(training_set: TrainingSet) -> None:
    by_table = {t.table: t.committed_after_rows for t in training_set.leaks().tables}
    assert by_table == {"features.delays": None, "features.gates": ROWS}  # committed now, for rows of 2024


def test_rewriting_files_is_no_commit_of_their_rows(lake: Lake, training_set: TrainingSet) -> None:
    fe = FeatureEngineeringClient()
    gates = lake.table("features.gates")
    lake.table("features.gates").merge(pd.DataFrame({"origin": ["LGA"], "gates": [4.0]}))
    committed = {c["version"]: c["timestamp"] for c in gates.history()}
    between = datetime.fromtimestamp((max(committed.values()) - 1) / 1000, UTC)
    gates.optimize()
    spine = pd.DataFrame({"origin": ["JFK", "LGA"], "at": [between] * 2})
    made = fe.create_training_set(df=spine, feature_lookups=LOOKUPS, label=None)
    assert made.leaks().committed_after_rows == 1  # LGA alone


def test_a_leaky_join_claims_more_than_it_keeps(training_set: TrainingSet) -> None:
    trained = {r.reading: r for r in training_set.leaks(LogisticRegression()).retrained}
    assert trained["exact"].claimed == trained["exact"].honest
    assert trained["naive"].metric == "roc_auc"
    assert trained["naive"].claimed > 0.95
    assert trained["naive"].honest < 0.65


def test_an_estimator_that_cannot_be_trained_leaves_the_counts_and_a_note(training_set: TrainingSet) -> None:
    from sklearn.linear_model import LogisticRegression

    report = training_set.leaks(LogisticRegression(C=-1))
    assert report.naive_rows == training_set.leaks().naive_rows
    assert "no model was trained on the columns" in report.note
    assert not report.retrained


def test_the_command_reports_a_model_and_fails_over_a_limit(
    training_set: TrainingSet, command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    import mlflow.sklearn

    rows = training_set.load_df().to_pandas()
    model = LogisticRegression().fit(rows[["delay", "gates"]], rows["late"])
    FeatureEngineeringClient().log_model(
        model=model, artifact_path="model", flavor=mlflow.sklearn, training_set=training_set,
        registered_model_name="flights.wait", pip_requirements=["scikit-learn", "pandas", "skops"],
    )  # fmt: skip
    SPINE.to_parquet(tmp_path / "spine.parquet")
    words = ["features", "leaks", "models:/flights.wait/1", "--spine", str(tmp_path / "spine.parquet")]
    code, said = command(*words)
    assert (code, "keep known as its known time" in said, "claimed too much" in said) == (0, True, True)
    code, said = command(*words, "--no-retrain", "--json", "--fail-over", "99")
    assert (code, '"naive_rows": 400' in said, "100.00 % of the rows would have other features" in said) == (1, True, True)


def test_a_backfilled_table_fails_over_its_own_limit_alone(
    training_set: TrainingSet, command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    fe = FeatureEngineeringClient()
    past = pd.DataFrame({"origin": ["JFK"], "at": [datetime(2020, 1, 1, tzinfo=UTC)], "runways": [4]})
    fe.create_table(name="features.filled", primary_keys=["origin", "at"], timeseries_column="at", df=past)
    lookup = FeatureLookup("features.filled", "origin", timestamp_lookup_key="at")
    fe.create_feature_spec(name="features.runways", features=[lookup])
    past[["origin", "at"]].to_parquet(tmp_path / "past.parquet")
    words = ["features", "leaks", "features.runways", "--spine", str(tmp_path / "past.parquet"), "--fail-over", "0"]
    assert command(*words)[0] == 0
    code, said = command(*words, "--fail-committed-after", "50")
    assert (code, "100.00 % of the rows read values committed after their own time" in said) == (1, True)


def test_a_spine_without_a_key_is_refused_by_name(training_set: TrainingSet) -> None:
    fe = FeatureEngineeringClient()
    fe.create_feature_spec(name="features.wait", features=LOOKUPS)
    with pytest.raises(InvalidInput, match="origin"):
        fe.leaks(df=SPINE.drop(columns="origin"), feature_spec="features.wait")
