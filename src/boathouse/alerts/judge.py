"""Judges an alert over the gold tables that a refresh left."""

from collections.abc import Mapping
from typing import Any

from boathouse.alerts.rules import Rule, evaluate
from boathouse.context import Context
from boathouse.lake import text
from boathouse.monitoring import TABLE, gold_of

_KEPT = 30
"""Windows with data that a judgement keeps."""


def rule_of(monitor: Mapping[str, Any], name: str, definition: Mapping[str, Any]) -> Rule:
    """An alert over a completed monitor as a rule. Raises InvalidInput."""
    log = monitor.get("inference_log") or monitor.get("time_series") or {}
    granularities = log.get("granularities") or ["1 day"]
    return Rule(
        name, definition["condition"], windows=int(definition.get("windows") or 1),
        granularity=definition.get("granularity") or granularities[-1],
        model_id_col=log.get("model_id_col") or "model_version", column=definition.get("column") or TABLE,
    )  # fmt: skip


def judge(context: Context, monitor: Mapping[str, Any], name: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    """{state, reason, windows} of an alert now. The rule reads profile and drift metrics alike."""
    rule = rule_of(monitor, name, definition)
    rows = [
        row
        for gold in gold_of(monitor)
        if context.table_exists(gold)
        for row in context.table(gold).read(where=f"column_name = {text(rule.column)}").to_dicts()
    ]
    verdict = evaluate(rule, rows)
    judged = [w for w in verdict.windows if w.violated is not None][-_KEPT:]
    windows = [
        {"start": w.start.isoformat(), "values": w.values, "violated": w.violated, "granularity": rule.granularity}
        for w in judged
    ]
    return {"state": verdict.state, "reason": verdict.reason, "windows": windows, "granularity": rule.granularity}
