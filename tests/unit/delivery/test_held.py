"""When a held version is tested again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from boathouse.delivery import held, touched

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
CHECKS = [{"name": "rows", "outcome": "hold", "reason": "few"}]
FEW = {"outcome": "hold", "checks": CHECKS, "evidence": {"tables": {"dev.f.t": 3}}}


def test_news_in_a_table_that_was_read_brings_a_test_after_a_pause() -> None:
    waiting = held(FEW, NOON, 1)
    assert waiting
    assert not touched(waiting, "dev.f.other").due(NOON + timedelta(hours=2))
    changed = touched(waiting, "dev.f.t")
    assert not changed.due(NOON + timedelta(seconds=5))
    assert changed.due(NOON + timedelta(minutes=1))
    assert not replace(changed, tries=4).due(NOON + timedelta(minutes=1))  # the pause doubles
    assert replace(changed, tries=400).due(NOON + timedelta(hours=1))


def test_without_news_it_is_tested_once_a_day() -> None:
    waiting = held(FEW, NOON, 1)
    assert waiting
    assert not waiting.due(NOON + timedelta(hours=23))
    assert waiting.due(NOON + timedelta(days=1))


def test_what_needs_no_table_to_change_is_tried_soon() -> None:
    for name in ("requirements", "champion", "test"):
        waiting = held({"outcome": "hold", "checks": [{"name": name, "outcome": "hold", "reason": "?"}]}, NOON, 1)
        assert waiting
        assert waiting.due(NOON + timedelta(minutes=1))


def test_people_and_systems_outside_are_not_hurried() -> None:
    asked = {"outcome": "hold", "checks": [{"name": "approval", "outcome": "hold", "reason": "ask"}]}
    assert held(asked, NOON, 1) is None
    assert held({**FEW, "by": "cd"}, NOON, 1) is None
    assert held({"outcome": "pass", "checks": []}, NOON, 1) is None
