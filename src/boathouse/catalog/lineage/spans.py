"""Sets of versions, and what a table's history says of them: which writes a version holds, which versions hold a write.

A version holds what was written since the last write that replaced everything; a restore replaces
everything with what the restored version held. Versions are numbers; `UNVERSIONED` stands for none.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

UNVERSIONED = -1
NEWEST = 2**62

Span = tuple[int, int]
Spans = tuple[Span, ...]
"""Disjoint (first, last), both inside, in order."""

ALL: Spans = ((UNVERSIONED, NEWEST),)


def united(*sets: Iterable[Span]) -> Spans:
    """All versions of several sets."""
    found: list[Span] = []
    for first, last in sorted(span for spans in sets for span in spans if span[0] <= span[1]):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def without(spans: Spans, known: Spans) -> Spans:
    """The versions of `spans` that are not in `known`."""
    left: list[Span] = []
    for first, last in spans:
        at = first
        for low, high in known:
            if high < at or low > last:
                continue
            if low > at:
                left.append((at, low - 1))
            at = high + 1
        if at <= last:
            left.append((at, last))
    return tuple(left)


def inside(number: int, spans: Spans) -> bool:
    """Whether a version is in the set; one without a number always is."""
    return number == UNVERSIONED or any(first <= number <= last for first, last in spans)


@dataclass(frozen=True)
class History:
    """The writes of one node that replaced everything: their numbers in order, and for restores the version restored.

    `alone` where every version stands for itself.
    """

    resets: Sequence[int] = ()
    restored: dict[int, int] = field(default_factory=dict)
    alone: bool = False

    def held(self, version: int) -> Spans:
        """The writes whose rows a version holds."""
        if self.alone:
            return ALL if version == NEWEST else ((version, version),)
        found: list[Span] = []
        seen = set()
        while version not in seen:
            seen.add(version)
            at = bisect_right(self.resets, version)
            if not at:
                return united(found, ((UNVERSIONED, version),))
            reset = self.resets[at - 1]
            found.append((reset, version))
            if reset not in self.restored:
                break
            version = self.restored[reset]
        return united(found)

    def carried(self, written: Spans) -> Spans:
        """The versions that hold something of these writes."""
        if self.alone:
            return written
        found = united((first, self._until(last)) for first, last in written)
        for reset, version in sorted(self.restored.items()):  # later restores may bring back earlier ones
            if inside(version, found):
                found = united(found, ((reset, self._until(reset)),))
        return found

    def divides(self, low: int, high: int) -> bool:
        """Whether something was replaced after `low` and up to `high`."""
        return self.alone or bisect_right(self.resets, high) > bisect_right(self.resets, low)

    def _until(self, version: int) -> int:
        at = bisect_right(self.resets, version)
        return self.resets[at] - 1 if at < len(self.resets) else NEWEST
