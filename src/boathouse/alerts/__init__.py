"""Alerts: rules over the gold tables, judged window by window."""

from boathouse.alerts.condition import ALIASES, Condition, check_column, metric_column, parse_condition
from boathouse.alerts.judge import judge, rule_of
from boathouse.alerts.rules import Rule, State, Step, Verdict, Window, evaluate, steps
from boathouse.alerts.service import Alerts, Incident

__all__ = [
    "ALIASES",
    "Alerts",
    "Condition",
    "Incident",
    "Rule",
    "State",
    "Step",
    "Verdict",
    "Window",
    "check_column",
    "evaluate",
    "judge",
    "metric_column",
    "parse_condition",
    "rule_of",
    "steps",
]
