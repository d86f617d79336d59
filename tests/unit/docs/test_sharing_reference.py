"""The page of Delta Sharing names every route of it."""

import re
from pathlib import Path

from boathouse.server.sharing import ROUTERS

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "delta-sharing.md").read_text()


def test_the_page_names_every_route_and_none_that_is_gone() -> None:
    there = {(m, route.path) for router in ROUTERS for route in router.routes for m in route.methods}  # type: ignore[attr-defined]
    assert set(re.findall(r"^\| ([A-Z]+) \| `([^`]+)` \|", PAGE, re.MULTILINE)) == there
