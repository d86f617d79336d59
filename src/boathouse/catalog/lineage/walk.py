"""Walking the lineage by version: upstream to all that a version holds, downstream to all that holds it.

Each round asks for the edges of all nodes that the one before reached. What was walked before is not
walked again, so circles end; versions are walked as spans, so thousands of writes are one step.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from boathouse.catalog.lineage.edge import Direction, LineageEdge
from boathouse.catalog.lineage.spans import ALL, NEWEST, History, Spans, united, without


@dataclass(frozen=True)
class Pair:
    """All edges between two nodes that a round found.

    `newest` is the number of the target's newest version among them; `low` and `high` are numbers of the far
    side, None where no version of it has one; `unversioned` says that some have none.
    """

    near: str
    far: str
    newest: int
    low: int | None
    high: int | None
    unversioned: bool
    count: int


class Edges(Protocol):
    """What a walk asks of the ledger."""

    def pairs(self, spans: Mapping[str, Spans], direction: Direction) -> list[Pair]:
        """Edges of these nodes at these versions, one pair for each far node."""

    def numbers(self, spans: Mapping[str, Spans], pairs: Iterable[tuple[str, str]],
                direction: Direction) -> dict[tuple[str, str], list[int]]:  # fmt: skip
        """The versions on the far side of some (near, far) pairs, one by one."""

    def edges(self, newest: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], LineageEdge]:
        """The newest edge of each (source, target), which made this version of the target."""

    def histories(self, names: Iterable[str]) -> dict[str, History]:
        """What was replaced when."""


@dataclass(frozen=True)
class Walk:
    """What was reached: for each pair its newest edge, for each node the versions and how far it is."""

    start: str
    direction: Direction
    edges: tuple[LineageEdge, ...]
    spans: Mapping[str, Spans]
    steps: Mapping[str, int]
    cut: bool = False


@dataclass
class _Trip:
    """A walk under way."""

    source: Edges
    direction: Direction
    newest: dict[tuple[str, str], int] = field(default_factory=dict)
    current: set[tuple[str, str]] = field(default_factory=set)
    spans: dict[str, Spans] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    histories: dict[str, History] = field(default_factory=dict)

    def begin(self, start: str, version: int | None) -> dict[str, Spans]:
        """The first frontier."""
        self._learn([start])
        self.steps[start] = 0
        self.spans[start] = self._reached(start, version)
        return {start: self.spans[start]}

    def advance(self, frontier: Mapping[str, Spans]) -> dict[str, Spans]:
        """One round: what is new."""
        pairs = self.source.pairs(frontier, self.direction)
        self._learn({p.far for p in pairs} - set(self.histories))
        fresh: dict[str, Spans] = {}
        for pair, spans in zip(pairs, self._far(frontier, pairs), strict=True):
            self._keep(pair, spans)
            if new := without(spans, self.spans.get(pair.far, ())):
                fresh[pair.far] = united(fresh.get(pair.far, ()), new)
                self.spans[pair.far] = united(self.spans.get(pair.far, ()), new)
        return fresh

    def _learn(self, names: Iterable[str]) -> None:
        self.histories |= self.source.histories(names)

    def _reached(self, name: str, version: int | None) -> Spans:
        if version is None:
            return self.histories[name].held(NEWEST) if self.direction == "up" else ALL
        if self.direction == "up":
            return self.histories[name].held(version)
        return self.histories[name].carried(((version, version),))

    def _keep(self, pair: Pair, spans: Spans) -> None:
        key = (pair.far, pair.near) if self.direction == "up" else (pair.near, pair.far)
        self.newest[key] = max(self.newest.get(key, pair.newest), pair.newest)
        if self.direction == "up" or spans[-1][1] == NEWEST or self.histories[pair.far].alone:
            self.current.add(key)
        self.steps.setdefault(pair.far, self.steps[pair.near] + 1)

    def _far(self, frontier: Mapping[str, Spans], pairs: Sequence[Pair]) -> list[Spans]:
        single = {(p.near, p.far) for p in pairs if p.low is not None and p.high is not None
                  and self.histories[p.far].divides(p.low, p.high)}  # fmt: skip
        numbers = self.source.numbers(frontier, single, self.direction) if single else {}
        return [self._versions(pair, numbers.get((pair.near, pair.far))) for pair in pairs]

    def _versions(self, pair: Pair, numbers: Sequence[int] | None) -> Spans:
        history = self.histories[pair.far]
        if pair.unversioned or pair.low is None or pair.high is None:
            return self._reached(pair.far, None)
        if self.direction == "down":
            return history.carried(tuple((n, n) for n in numbers) if numbers else ((pair.low, pair.high),))
        return united(*(history.held(n) for n in numbers or [pair.high]))


def walk(source: Edges, start: str, direction: Direction, version: int | None = None, depth: int = 50,
         most: int = 20_000) -> Walk:  # fmt: skip
    """Follow edges from a node, as it is now or from one version of it.

    Without a version: upstream all that its newest version holds, downstream all that ever held something
    of it. `most` bounds the pairs; `cut` says that there are more.
    """
    trip = _Trip(source, direction)
    frontier = trip.begin(start, version)
    for _ in range(depth):
        if not frontier or len(trip.newest) >= most:
            break
        frontier = trip.advance(frontier)
    found = source.edges(trip.newest)
    edges = sorted((replace(e, current=key in trip.current) for key, e in found.items()), key=lambda e: (e.target, e.source))
    return Walk(start, direction, tuple(edges), trip.spans, trip.steps, bool(frontier) and len(trip.newest) >= most)
