"""Who answers a request: shares of versions, sticky where a key comes along. Pure."""

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from boathouse.delivery import Rollout
from boathouse.environments import ServedEntity

SERVED, CANARY, SHADOW = "served", "canary", "shadow"
PATIENCE = 60.0
"""So many seconds a version may take for an answer."""
_CANARYS_PATIENCE = 10
"""A canary that takes so many times its limit of p99_ms is given up, a second at least: its caller waits for the champion."""


@dataclass(frozen=True)
class Wanted:
    """A version that an endpoint should have ready; `percent` is its share of the requests, in a shadow of those copied."""

    slot: str
    version: int
    percent: float
    role: str = SERVED
    rollout: int | None = None
    patience: float = PATIENCE


@dataclass(frozen=True)
class Target:
    """A version that is ready, and the port at which it answers."""

    slot: str
    version: int
    port: int
    role: str = SERVED
    patience: float = PATIENCE


@dataclass(frozen=True)
class Route:
    """Where an endpoint's requests go now. Upper ends of shares lie in (0, 100], the last is 100."""

    environment: str
    endpoint: str
    model: str
    choices: tuple[tuple[float, Target], ...]
    champion: Target | None = None
    """Who answers where a canary fails."""
    shadow: tuple[float, Target] | None = None

    def choose(self, key: str | None) -> Target | None:
        """Who answers; with a key always the same while shares stay, and a share that grows keeps the keys that it has."""
        at = point(f"{self.environment}.{self.endpoint}", key)
        return next((target for upper, target in self.choices if at < upper), None)

    def shadowed(self, key: str | None) -> Target | None:
        """Who answers as well, unseen."""
        if self.shadow is None:
            return None
        percent, target = self.shadow
        return target if point(f"shadow of {self.environment}.{self.endpoint}", key) < percent else None


def point(endpoint: str, key: str | None) -> float:
    """A point in [0, 100): of a key always the same, else by chance."""
    if key is None:
        return random.random() * 100
    digest = hashlib.blake2b(f"{endpoint}\0{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 * 100


def desired(entities: Sequence[tuple[ServedEntity, int]], rollouts: Iterable[Rollout]) -> list[Wanted]:
    """What an endpoint's entities and the rollouts that go on ask for; a canary's share is taken from its champion's."""
    going = {r.model: r for r in rollouts}
    found: list[Wanted] = []
    for entity, version in entities:
        rollout = going.get(entity.model) if entity.follows_champion else None
        share = entity.percent
        if rollout and rollout.champion == version:
            part = share * rollout.percent / 100 if rollout.mode == CANARY else rollout.percent
            found.append(Wanted(f"rollout-{rollout.id}", rollout.version, part, rollout.mode, rollout.id, _patience(rollout)))
            share -= part if rollout.mode == CANARY else 0.0
        found.append(Wanted(entity.name, version, share))
    return found


def _patience(rollout: Rollout) -> float:
    slowest = rollout.limits.get("p99_ms")
    return PATIENCE if slowest is None else min(PATIENCE, max(1.0, _CANARYS_PATIENCE * slowest / 1000))


def route(environment: str, endpoint: str, model: str, wanted: Sequence[Wanted], ready: Mapping[str, Target]) -> Route:
    """Where requests go, given what is ready; the share of a version that is not goes to the others."""
    live = [(w.percent, ready[w.slot]) for w in wanted if w.role != SHADOW and w.slot in ready and w.percent > 0]
    whole, seen, choices = sum(percent for percent, _ in live), 0.0, []
    for number, (percent, target) in enumerate(live, 1):
        seen += percent
        choices.append((100.0 if number == len(live) else seen * 100 / whole, target))
    shadows = [(w.percent, ready[w.slot]) for w in wanted if w.role == SHADOW and w.slot in ready]
    after = [later for position, w in enumerate(wanted) if w.role == CANARY for later in wanted[position + 1 : position + 2]]
    champion = ready.get(after[0].slot) if after else None
    return Route(environment, endpoint, model, tuple(choices), champion, shadows[0] if shadows else None)
