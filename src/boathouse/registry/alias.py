"""What an alias may be called: no stage, no version, not `latest`, so that a reference means one thing."""

import re

from boathouse.errors import InvalidInput
from boathouse.registry.values import CHALLENGER, CHAMPION, STAGES

_SHAPE = re.compile(r"^[A-Za-z0-9_-]{1,255}$")
_VERSION = re.compile(r"^[vV]?\d+$")
_TAKEN = {stage.lower() for stage in STAGES} | {"latest"}


def check_alias(alias: str) -> str:
    """The alias, champion and challenger in lower case. Raises InvalidInput."""
    if not _SHAPE.match(alias):
        raise InvalidInput(f"{alias!r} is no alias: use letters, digits, underscores and dashes, no dots")
    if alias.lower() in _TAKEN or _VERSION.match(alias):
        raise InvalidInput(f"{alias!r} is no alias: stages, version numbers and `latest` mean something already")
    return alias.lower() if alias.lower() in (CHAMPION, CHALLENGER) else alias
