"""The page of Unity Catalog's skin names every route of it, and the versions of the clients that are run."""

import re
from pathlib import Path

import pytest

from boathouse.server.unity import NOUNS, account

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "unity-catalog.md").read_text()
LOCK = (ROOT / "tests" / "compat" / "requirements.lock").read_text()
ROUTES = {(method, route.path) for noun in (*NOUNS, account) for route in noun.router.routes for method in route.methods}  # type: ignore[attr-defined]


def test_the_page_names_every_route_and_none_that_is_gone() -> None:
    assert set(re.findall(r"^\| ([A-Z]+) \| `([^`]+)` \|", PAGE, re.MULTILINE)) == ROUTES


@pytest.mark.parametrize("client", ["polars", "daft", "unitycatalog-client", "databricks-sdk", "delta-sharing"])
def test_the_page_names_the_version_that_is_run(client: str) -> None:
    [version] = re.findall(rf"^{client}(?:\[\w+\])?==(\S+)", LOCK, re.MULTILINE)
    [row] = [line for line in PAGE.splitlines() if line.lower().startswith(f"| {client}")]
    assert f"| {version} |" in row
