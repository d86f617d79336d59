"""A monitor as deployed, completed: one of a model knows its model's inference table."""

from collections.abc import Mapping
from typing import Any

from boathouse.errors import NotFound
from boathouse.monitoring.gold import gold_names

_OF_A_MODEL = {
    "timestamp_col": "request_time", "prediction_col": "prediction", "prediction_proba_col": "prediction_probability",
    "model_id_col": "model_version", "label_col": "label", "problem_type": "PROBLEM_TYPE_CLASSIFICATION",
    "granularities": ["1 day", "1 week"],
}  # fmt: skip


def gold_of(definition: Mapping[str, Any]) -> tuple[str, str]:
    """The profile and drift tables of a completed monitor."""
    return gold_names(str(definition["table_name"]), definition.get("output_schema_name"))


def completed(definition: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The definition with its tables and columns. `models` are the registered models deployed beside it, by key.

    A monitor of a regression model has no probability column. Raises NotFound for an unknown model.
    """
    model = definition.get("model")
    if not model:
        return _named(definition)
    if model in models:
        model = f"{models[model]['schema_name']}.{models[model]['name']}"
    elif "." not in model:
        raise NotFound(
            f"the monitor's model {model!r} is not among the project's registered models: {', '.join(models) or 'none'}"
        )
    log = {**_OF_A_MODEL, **{k: v for k, v in (definition.get("inference_log") or {}).items() if v}}
    if str(log["problem_type"]).endswith("REGRESSION"):
        log.pop("prediction_proba_col")
    return _named({**definition, "table_name": f"{model}_inference", "inference_log": log})


def _named(definition: Mapping[str, Any]) -> dict[str, Any]:
    """With the names of its results, as the published interface has them."""
    profile, drift = gold_of(definition)
    return {**definition, "profile_metrics_table_name": profile, "drift_metrics_table_name": drift}
