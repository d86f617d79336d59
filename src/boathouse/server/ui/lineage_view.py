"""How somebody looks at a piece of lineage: every choice is in the address."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from boathouse.catalog import KINDS
from boathouse.platform import Ways

WAYS: tuple[Ways, ...] = ("both", "up", "down")
DEPTHS = (1, 2, 3, 5)


@dataclass(frozen=True)
class View:
    """What is asked for; `opened` are the nodes whose columns are shown."""

    name: str = ""
    environment: str = ""
    ways: Ways = "both"
    depth: int | None = None
    at: str = ""
    kinds: tuple[str, ...] = KINDS
    jobs: bool = False
    opened: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: QueryParams) -> "View":
        """From an address; what makes no sense there is as if it were not."""
        ways: Ways = next((w for w in WAYS if w == given.get("direction")), "both")
        steps = given.get("depth", "")
        depth = int(steps) if steps.isdigit() and int(steps) else None
        kinds = tuple(k for k in KINDS if k in given.getlist("kind")) or KINDS
        return cls(
            given.get("name", "").strip(), given.get("environment", ""), ways, depth,
            given.get("at", "").strip(), kinds, bool(given.get("jobs")), tuple(dict.fromkeys(given.getlist("open"))),
        )  # fmt: skip

    def href(self, **changes: Any) -> str:
        """The address of the same look with some choices changed."""
        view = replace(self, **changes)
        pairs: list[tuple[str, str]] = [("name", view.name)]
        pairs += [(k, v) for k, v in (("environment", view.environment), ("at", view.at)) if v]
        pairs += [("direction", view.ways)] if view.ways != "both" else []
        pairs += [("depth", str(view.depth))] if view.depth else []
        pairs += [("kind", k) for k in view.kinds] if view.kinds != KINDS else []
        pairs += [("jobs", "1")] if view.jobs else []
        pairs += [("open", key) for key in view.opened]
        return f"/lineage?{urlencode(pairs)}"

    def toggled(self, key: str) -> str:
        """The address with a node's columns shown, or hidden where they are."""
        opened = tuple(k for k in self.opened if k != key) if key in self.opened else (*self.opened, key)
        return self.href(opened=opened)
