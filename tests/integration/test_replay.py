"""Logged traffic through two versions, each with features of its own, with labels that came late; nothing is written."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from boathouse.client import Lake
from boathouse.delivery.replay import replay
from boathouse.feature_engineering import FeatureEngineeringClient, FeatureLookup
from boathouse.lake import batches
from boathouse.scoring import Model
from boathouse.serving import log_predictions

pytestmark = pytest.mark.xdist_group("replay")

START, NAME = datetime(2013, 5, 1, tzinfo=UTC), "dev.shop.reorder"
ASKED = {"days": 7, "metrics": ["roc_auc", "accuracy"], "labels": None}
LABELS = {"table": "features.outcomes", "keys": ["customer", "at"], "label": "bought"}


def hours(count: int) -> list[datetime]:
    return [START + timedelta(hours=h) for h in range(count)]


def people(count: int = 480) -> pd.DataFrame:
    chance = np.random.default_rng(4)
    mood, wealth = chance.normal(size=count), chance.normal(size=count)
    return pd.DataFrame({"customer": np.arange(count), "at": hours(count), "mood": mood, "wealth": wealth,
                         "bought": (mood + wealth > 0).astype(int), "spent": 2 * mood + wealth})  # fmt: skip


@pytest.fixture(scope="module")
def versions(lake: Lake) -> dict[str, Model]:
    """A champion that knows moods, and a candidate that knows wealth as well; both looked up by customer and time."""
    rows, fe = people(), FeatureEngineeringClient()
    spine = rows[["customer", "at", "bought"]]
    earlier = rows.assign(at=rows["at"] - timedelta(minutes=5))
    later = rows.assign(at=rows["at"] + timedelta(minutes=1), mood=9.0, wealth=-9.0)  # what nobody knew at the request's time
    for name in ("mood", "wealth"):
        both = pd.concat([earlier, later])[["customer", "at", name]]
        lake.create_table(f"features.{name}", batches(both).read_all(), primary_keys=["customer", "at"],
                          event_time="at")  # fmt: skip
    made = {}
    for version, features in (("1", ["mood"]), ("2", ["mood", "wealth"])):
        lookups = [FeatureLookup(table_name=f"features.{f}", feature_names=[f], lookup_key="customer", timestamp_lookup_key="at")
                   for f in features]  # fmt: skip
        examples = fe.create_training_set(
            df=batches(spine).read_all(), feature_lookups=lookups, label="bought",
            exclude_columns=["customer", "at"],
        )  # fmt: skip
        frame = examples.load_df().toPandas()
        raw = LogisticRegression().fit(frame[features], frame["bought"])
        made[version] = Model(NAME, version, None, examples.feature_spec, (), raw, None)
    lake.create_table("features.outcomes", batches(spine[spine.customer >= 240]).read_all())
    seen = rows.assign(request_id=rows.customer.astype(str), request_time=rows["at"], prediction=0.0)
    scored = batches(seen.drop(columns=["wealth", "bought", "spent"])).read_all()
    log_predictions(lake, NAME, "1", scored, "batch", {})
    return made


def test_without_traffic_it_says_so(lake: Lake, versions: dict[str, Model]) -> None:
    found = replay(lake, "dev.shop.silent", versions["2"], versions["1"], ASKED)
    assert (found.rows, found.problem) == (0, "no traffic was logged yet")


def test_both_see_the_same_days_with_features_of_their_own(lake: Lake, versions: dict[str, Model]) -> None:
    before = lake.table(f"{NAME}_inference").version
    found = replay(lake, NAME, versions["2"], versions["1"], {**ASKED, "labels": LABELS})
    assert found.rows == 7 * 24  # of twenty days
    assert found.labelled == 7 * 24
    assert found.candidate["roc_auc"] > 0.98
    assert 0.6 < (found.champion or {})["roc_auc"] < 0.95
    assert found.differences["roc_auc"][1] > 0
    assert 0.05 < (found.shift or 0) < 0.6
    assert lake.table(f"{NAME}_inference").version == before


def test_labels_that_have_not_come_are_counted_and_not_made_up(lake: Lake, versions: dict[str, Model]) -> None:
    everything = {**ASKED, "days": 100, "labels": LABELS}
    assert replay(lake, NAME, versions["2"], None, everything).labelled == 240
    found = replay(lake, NAME, versions["2"], versions["1"], {**ASKED, "days": 100})
    assert (found.rows, found.labelled, found.candidate) == (480, 0, {})
    assert found.shift is not None


def test_requests_that_wait_to_be_unpacked_are_replayed_as_well(lake: Lake, versions: dict[str, Model]) -> None:
    at = START + timedelta(hours=400)
    waiting = pa.table({"request_id": ["late"], "request_time": [at], "customer": [3], "at": [at], "mood": [0.1],
                        "label": pa.array([None], pa.float64())})  # fmt: skip
    everything = {**ASKED, "days": 100}
    assert replay(lake, NAME, versions["2"], versions["1"], everything, waiting).rows == 481


def test_a_column_that_no_request_brought_is_named(lake: Lake, versions: dict[str, Model]) -> None:
    needy = Model(NAME, "3", None, None, ("age",), LinearRegression(), None)
    found = replay(lake, NAME, needy, versions["1"], ASKED)
    assert found.problem == "it has no 'age', which version 3 needs"


def test_numbers_move_in_standard_deviations(lake: Lake, versions: dict[str, Model]) -> None:
    rows = people()
    first, second = (LinearRegression().fit(rows[["mood"]], rows.spent + add) for add in (0.0, 1.0))

    def version(number: str, raw: Any) -> Model:
        return Model(NAME, number, None, None, ("mood",), raw, None)

    found = replay(lake, NAME, version("2", second), version("1", first), {"days": 100, "metrics": ["rmse"], "labels": None})
    spread = first.predict(rows[["mood"]]).std()
    assert found.shift == pytest.approx(1 / spread)
