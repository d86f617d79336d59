"""How values look: times, durations, numbers, commits, states."""

import json
import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

from markupsafe import Markup, escape

from boathouse import clock
from boathouse.catalog import AuditEntry

_GOOD = ("SUCCESS", "READY", "pass", "success", "ok", "Production", "merged", "done", "FINISHED")
_BAD = ("FAILED", "LOST", "fail", "failure", "firing", "denied", "UPSTREAM_FAILED", "ROLLED_BACK")
_GOING = ("RUNNING", "LOADING", "STARTING", "QUEUED", "pending", "open")
_WAITING = ("hold", "WAITING", "Staging", "CANCELED", "no_data")
_KIND = (
    dict.fromkeys(_GOOD, "good")
    | dict.fromkeys(_BAD, "bad")
    | dict.fromkeys(_GOING, "going")
    | dict.fromkeys(_WAITING, "held")
)
_LONGEST = 300


def moment(value: datetime | None) -> Markup:
    """A time: how long ago when it is recent, else date and minute; the exact time (UTC) on hovering."""
    if value is None:
        return Markup('<span class="none">–</span>')
    at = clock.parse_instant(value).astimezone(UTC)
    return Markup('<time datetime="{}" title="{:%Y-%m-%d %H:%M:%S} UTC">{}</time>').format(
        at.isoformat(), at, _ago(at)
    )


def _ago(at: datetime) -> str:
    passed = clock.now() - at
    if not timedelta(0) <= passed < timedelta(days=1):
        return f"in {span(-passed)}" if timedelta(0) < -passed < timedelta(days=2) else f"{at:%Y-%m-%d %H:%M}"
    return "now" if passed < timedelta(seconds=5) else f"{span(passed)} ago"


def past(value: datetime) -> bool:
    """Whether a moment is over."""
    return clock.parse_instant(value) <= clock.now()


def browser(agent: str) -> str:
    """What a browser calls itself, in two words; programs as they say."""
    names = [(" Edg/", "Edge"), (" OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari")]
    places = [("Android", "Android"), ("iPhone", "iPhone"), ("Windows", "Windows"), ("Mac OS", "macOS"), ("Linux", "Linux")]
    name = next((n for mark, n in names if mark in agent), agent[:40] or "unknown")
    place = next((n for mark, n in places if mark in agent), "")
    return f"{name} on {place}" if place else name


def span(value: timedelta | float | None) -> str:
    """A duration in its largest unit or two."""
    if value is None:
        return "–"
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds // 60:.0f} min"
    return f"{seconds // 3600:.0f} h" if seconds < 172_800 else f"{seconds // 86_400:.0f} d"


def number(value: Any) -> str:
    """A number with the digits that matter."""
    if value is None or isinstance(value, str) or (isinstance(value, float) and not math.isfinite(value)):
        return "–" if value is None else str(value)
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    )


def cell(value: Any) -> str:
    """A value of a row, as text, cut when it is very long."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        text = f"{value.astimezone(UTC) if value.tzinfo else value:%Y-%m-%d %H:%M:%S}"
    elif isinstance(value, float):
        text = f"{value:.6g}"
    elif isinstance(value, dict | list):
        text = json.dumps(value, default=str)
    elif isinstance(value, bytes):
        text = value[:40].hex()
    else:
        text = str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def is_number(value: Any) -> bool:
    """Whether a value is set flush right."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_time(value: Any) -> bool:
    """Whether a value must not be wrapped."""
    return isinstance(value, date)


def badge(state: Any, text: str | None = None) -> Markup:
    """A state, coloured and in words."""
    words = str(state)
    shown = text or (words.lower().replace("_", " ") if words.isupper() else words)
    return Markup('<span class="badge {}">{}</span>').format(_KIND.get(words, "plain"), shown)


def commit(value: str | None) -> Markup:
    """A commit's first characters."""
    return Markup('<code title="{}">{}</code>').format(value, value[:8]) if value else Markup(escape("–"))


def short(name: str) -> str:
    """A name without its environment."""
    return name.partition(".")[2] or name


def deed(entry: AuditEntry) -> str:
    """What an audit entry tells, in words."""
    d = entry.details
    if entry.action.startswith("model.") and d.get("to_stage"):
        return f"{entry.action.removeprefix('model.')} version {d.get('version')} to {d['to_stage']}"
    if entry.action in ("grant", "revoke") and d.get("privilege"):
        toward = "to" if entry.action == "grant" else "from"
        return f"{entry.action} {d['privilege']} {toward} {d.get('principal')}"
    return entry.action


def subject_href(entry: AuditEntry) -> str:
    """The page that an audit entry is about, where its action says so."""
    subject = entry.subject
    if entry.action.startswith("model.") and subject.count(".") == 2:
        return f"/models/{subject}"
    if entry.action.endswith(" run"):
        return f"/runs/{subject}"
    pages = {
        "deploy": "/releases",
        "destroy": "/releases",
        "cut release": "/releases",
        "open request": "/requests",
        "merge": "/requests",
        "alert fired": "/monitoring",
        "acknowledge": "/monitoring",
        "grant": "/access",
        "revoke": "/access",
        "create table": f"/tables/{subject}",
        "alter table": f"/tables/{subject}",
    }
    if entry.action == "merge" and "/" not in subject:
        return f"/tables/{subject}"
    return pages.get(entry.action, "")


FILTERS = {
    "moment": moment,
    "span": span,
    "past": past,
    "browser": browser,
    "number": number,
    "cell": cell,
    "is_number": is_number,
    "is_time": is_time,
    "badge": badge,
    "commit": commit,
    "short": short,
    "deed": deed,
    "subject_href": subject_href,
}
