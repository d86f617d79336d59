"""What stands in place of secrets in logs, notebooks and errors. Pure."""

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

REDACTED = "[REDACTED]"
_SHORTEST = 4
"""Hiding shorter texts would hide half of any log."""
_SHORTEST_LINE = 8


def forms(value: str) -> tuple[str, ...]:
    """The texts by which a secret could be read: as it is, line by line, as JSON, HTML, part of a URL and base64."""
    lines = [line.strip() for line in value.splitlines()]
    plain = {text for text in (value, value.strip()) if len(text) >= _SHORTEST}
    plain |= {line for line in lines if len(line) >= _SHORTEST_LINE}
    found = set(plain)
    for text in plain:
        found |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], html.escape(text), repr(text)[1:-1],
                  quote(text, safe=""), quote(text), base64.b64encode(text.encode()).decode().rstrip("="),
                  base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")}  # fmt: skip
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


def redacted(value: Any, secrets: Iterable[str]) -> Any:
    """A text, or texts at any depth of a value, without secrets, whichever form they have in it."""
    found = sorted({form for secret in secrets for form in forms(secret)}, key=len, reverse=True)
    return _without(value, re.compile("|".join(map(re.escape, found)))) if found else value


def _without(value: Any, hidden: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return hidden.sub(REDACTED, value)
    if isinstance(value, Mapping):
        return {_without(k, hidden): _without(v, hidden) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without(v, hidden) for v in value]
    return value
