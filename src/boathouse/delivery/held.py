"""Versions that were held, and when each is tested again: once a table that its test read changed, or by the clock."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
_UNASKED = timedelta(days=1)


@dataclass(frozen=True)
class Held:
    """A version under test whose newest verdict is hold. `tables` are those its test read or looked for.

    `soon` says that nothing has to change before it is worth another test, `changed` that a table did.
    """

    at: datetime
    tables: frozenset[str]
    tries: int = 1
    soon: bool = False
    changed: bool = False

    def due(self, now: datetime) -> bool:
        """Whether to test again: after a pause that doubles with each try where something changed, else once a day."""
        pause = min(_FIRST_PAUSE * 2 ** min(self.tries - 1, 10), _LONGEST_PAUSE)
        return now - self.at >= (pause if self.changed or self.soon else _UNASKED)


def held(verdict: Mapping[str, Any], at: datetime, tries: int) -> Held | None:
    """What a newest verdict means for the next test; None where there is nothing to wait for but people.

    A resolver that did not answer, a champion that changed and a testing run that failed need no change of tables.
    """
    waiting = {c["name"] for c in verdict.get("checks") or () if c["outcome"] == "hold"} - {"approval"}
    if verdict.get("outcome") != "hold" or not waiting or verdict.get("by"):
        return None
    tables = frozenset((verdict.get("evidence") or {}).get("tables") or ())
    return Held(at, tables, tries, soon=not waiting.isdisjoint({"requirements", "champion", "test"}))


def touched(waiting: Held, table: str) -> Held:
    """The same after a table got a new version."""
    return replace(waiting, changed=True) if table in waiting.tables else waiting
