"""Experiments are `/environment/…`: what a client calls `flights` is `/dev/flights` in dev."""

import re

from boathouse.errors import InvalidName
from boathouse.registry.actor import Actor

DEFAULT = "Default"
_FILTER = re.compile(r"(?P<left>(?<![\w.`])(?:attributes?\.)?`?name`?\s*!?=\s*)(?P<quote>['\"])(?P<name>[^'\"]*)(?P=quote)", re.I)


def full_experiment(name: str, who: Actor) -> str:
    """The name with the actor's environment before it; in a throw-away place, that place, too. Raises InvalidName."""
    plain = name.strip("/")
    if not plain:
        raise InvalidName("an experiment's name is missing: write for example project/experiment")
    if name == DEFAULT or who.environment is None or environment_of(name, who):
        return name
    return "/".join(("", who.environment, *([who.scratch] if who.scratch else []), plain))


def environment_of(name: str, who: Actor) -> str | None:
    """The environment that a full name begins with, if any."""
    first, _, rest = name.removeprefix("/").partition("/")
    return first if name.startswith("/") and rest and first in {*who.environments, who.environment} else None


def completed_filter(condition: str | None, who: Actor) -> str | None:
    """A search's condition, its names of experiments completed."""

    def complete(found: re.Match[str]) -> str:
        name = full_experiment(found["name"], who) if found["name"].strip("/") else found["name"]
        return f"{found['left']}{found['quote']}{name}{found['quote']}"

    return _FILTER.sub(complete, condition) if condition else condition
