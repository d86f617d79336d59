"""A script for the published client, its import line changed, runs unedited; and its names and defaults are ours."""

import inspect
import runpy
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import boathouse.feature_engineering as published
from boathouse import context
from boathouse.client import Lake
from boathouse.errors import InvalidInput
from boathouse.feature_engineering import FeatureEngineeringClient

SCRIPTS = Path(__file__).parent / "published_client"
NAMES = (
    "FeatureEngineeringClient", "FeatureLookup", "FeatureFunction", "FeatureAggregations", "Aggregation", "UpgradeClient",
    "UNSET", "DatabricksOnlineStore", "CronSchedule", "TableTrigger", "StreamingMode",
)  # fmt: skip
DEFAULTS: dict[str, dict[str, Any]] = {
    "create_table": dict.fromkeys(("df", "timeseries_column", "partition_columns", "schema", "description", "tags")),
    "write_table": {"mode": "merge", "checkpoint_location": None},
    "create_training_set": {"feature_lookups": None, "feature_spec": None, "features": None, "exclude_columns": None},
    "log_model": {"training_set": None, "registered_model_name": None, "infer_input_example": False},
    "score_batch": {"result_type": "double", "env_manager": "local"},
    "create_feature_spec": {"exclude_columns": None, "extra_pip_requirements": None},
    "publish_table": {"mode": "merge", "streaming": False, "filter_condition": None, "features": None},
    "create_feature": {"entity": None, "timeseries_column": None, "name": None, "description": None},
    "list_features": {"max_results": 100},
    "materialize_features": {"offline_config": None, "online_config": None, "trigger": None, "tags": None},
}  # fmt: skip


def run(lake: Lake, script: str) -> dict[str, Any]:
    context.use(lake)
    return runpy.run_path(str(SCRIPTS / script), {"spark": SimpleNamespace(sql=lake.sql)})


def test_the_older_class(lake: Lake) -> None:
    made = run(lake, "legacy_client.py")
    assert made["training"]["score"].tolist() == [0.75]
    assert sorted(made["rows"]["score"]) == [0.25, 0.75]


def test_tables_lookups_functions_specs_and_models(lake: Lake) -> None:
    made = run(lake, "feature_tables.py")
    assert made["training_df"].to_dict("list") == {
        "bought": [0, 1, 0], "recent_visits": [2, 7, 0], "spent": [20.0, 70.0, 0.0], "tax": [0.1, 0.2, 0.1],
        "gross": [22.0, 84.0, 0.0],
    }  # fmt: skip
    assert list(made["everything"].columns) == ["id", "place", "bought", "at", "recent_visits", "spent"]
    assert made["spec_columns"] == ["id", "place", "bought", "at", "recent_visits", "spent", "gross"]
    assert made["scored"]["prediction"].tolist() == [0.0, 1.0, 0.0]
    assert made["scored"]["recent_visits"].tolist() == [2, 7, 0]
    assert made["overridden"]["recent_visits"].tolist() == [9, 9, 9]


def test_declared_features(lake: Lake) -> None:
    hours = [datetime(2024, 1, 1, hour, minute, tzinfo=UTC) for hour, minute in ((0, 0), (1, 0), (2, 30))]
    lake.create_table("shop.orders", {"customer_id": [1, 1, 1], "ts": hours, "amount": [1.0, 5.0, 7.0]}, exists_ok=True)
    made = run(lake, "declared_features.py")
    assert made["found"] == ["spent_2h"]
    assert made["training"][["spent_2h", "orders_1h"]].to_dict("list") == {"spent_2h": [12.0], "orders_1h": [1]}
    assert [kept.feature_name for kept in made["kept"]] == ["spent_2h"]
    assert made["filled"].state == "SUCCEEDED"
    assert made["grid"]["avg_2h"].dropna().tolist() == [1.0, 3.0, 6.0, 7.0]
    assert made["fe"].list_materialized_features() == []


def test_every_published_name_is_there() -> None:
    assert [name for name in NAMES if not hasattr(published, name)] == []


@pytest.mark.parametrize("method", DEFAULTS)
def test_arguments_are_by_keyword_and_have_the_published_defaults(method: str) -> None:
    ours = inspect.signature(getattr(FeatureEngineeringClient, method)).parameters
    given = {name: p for name, p in ours.items() if name != "self" and p.kind is not p.VAR_KEYWORD}
    assert {p.kind for p in given.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert {name: given[name].default for name in DEFAULTS[method]} == DEFAULTS[method]


@pytest.mark.parametrize("method", [
    "create_stream", "update_stream", "get_stream", "list_streams", "delete_stream", "build_model_env",
    "purge_feature_entities", "grant_feature_serving_access",
])  # fmt: skip
def test_what_is_not_here_says_what_to_do_instead(lake: Lake, method: str) -> None:
    with pytest.raises(InvalidInput, match=f"{method} is not here: .+"):
        getattr(FeatureEngineeringClient(context=lake), method)(name="x")


def test_the_upgrade_client_says_what_to_do_instead() -> None:
    with pytest.raises(InvalidInput, match="UpgradeClient is not here"):
        published.UpgradeClient()
