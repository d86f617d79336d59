"""A muted alert is judged, and opens no incident until the time is over."""

from datetime import timedelta

from boathouse.platform import Platform

FIRING = {"state": "firing", "reason": "0.8 < 0.9", "windows": []}


def test_a_muted_alert_is_judged_and_opens_no_incident_until_it_is_over(platform: Platform) -> None:
    alerts = platform.alerts
    alerts.mute("prod", "drop", timedelta(hours=1), "olga")
    assert alerts.record("prod", "drop", FIRING) is None
    assert alerts.incidents("prod") == []
    assert alerts.states("prod")["prod", "drop"]["state"] == "firing"
    assert alerts.record("prod", "other", FIRING) is not None
    alerts.mute("prod", "drop", timedelta(0), "olga")
    assert alerts.record("prod", "drop", FIRING) is not None


def test_an_incident_that_is_open_still_closes_while_its_alert_is_muted(platform: Platform) -> None:
    opened = platform.alerts.record("prod", "drop", FIRING)
    assert opened is not None
    platform.alerts.mute("prod", "drop", timedelta(hours=1), "olga")
    platform.alerts.record("prod", "drop", {"state": "ok", "reason": "", "windows": []})
    assert platform.alerts.incident(opened.id).closed_at is not None
