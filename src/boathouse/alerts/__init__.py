"""Alerts: rules over the gold tables, judged window by window."""

from boathouse.alerts.condition import ALIASES, Condition, metric_column, parse_condition
from boathouse.alerts.judge import judge
from boathouse.alerts.rules import Rule, State, Verdict, Window, evaluate
from boathouse.alerts.service import Alerts, Incident

__all__ = [
    "ALIASES",
    "Alerts",
    "Condition",
    "Incident",
    "Rule",
    "State",
    "Verdict",
    "Window",
    "evaluate",
    "judge",
    "metric_column",
    "parse_condition",
]
