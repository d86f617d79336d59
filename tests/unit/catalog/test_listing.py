"""Lists show what may be seen, by name, and their pages are cuts of the whole list."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boathouse import clock
from boathouse.catalog.held import note_change
from boathouse.catalog.store import grants, securables
from boathouse.database import Database
from boathouse.errors import InvalidInput
from boathouse.identity import Identity

NAMES = [f"{c}.{s}.t{i}" for c in ("dev", "prod") for s in ("a", "a_b", "b", "mr7__raw") for i in range(4)]
PLACES = sorted({*NAMES, *(n.rpartition(".")[0] for n in NAMES), "dev", "prod"})
KIND = {0: "catalog", 1: "schema", 2: "table"}
ANN = Identity("ann", frozenset({"team"}))


@pytest.fixture
def full(world: Any, database: Database) -> Any:
    """Rows of tables without their folders: lists read nothing else."""
    properties = {"location": "raw/x", "columns": [], "primary_keys": [], "event_time": None, "known_time": None,
                  "partition_by": [], "tags": {}}  # fmt: skip
    with database.writing() as connection:
        for name in PLACES:
            if name.count("."):
                row = {"kind": KIND[name.count(".")], "name": name, "parent": name.rpartition(".")[0], "owner": "olga"}
                connection.execute(securables.insert().values(
                    **row, properties=properties, comment="", created_at=clock.now(), created_by="olga"))  # fmt: skip
    return world


def listed(world: Any, who: Identity, **asked: Any) -> list[str]:
    return [t.name for t in world.catalog.tables(who, **asked)]


grant = st.tuples(
    st.sampled_from(["ann", "team", "else"]),
    st.sampled_from(["USE CATALOG", "USE SCHEMA", "SELECT", "BROWSE", "ALL PRIVILEGES"]), st.sampled_from(PLACES),
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(granted=st.lists(grant, max_size=6), owned=st.lists(st.sampled_from(PLACES), max_size=2), size=st.integers(1, 9))
def test_pages_hold_exactly_what_may_be_seen_whatever_was_granted(
    full: Any, database: Database, granted: list[Any], owned: list[str], size: int
) -> None:
    with database.writing() as connection:
        connection.execute(grants.delete())
        connection.execute(securables.update().values(owner="olga"))
        for name in PLACES:
            note_change(connection, KIND[name.count(".")], name)
        connection.execute(securables.update().where(securables.c.name.in_(owned)).values(owner="ann"))
    for who, privilege, name in granted:
        with suppress(InvalidInput):
            full.access.grant("root", [who], [privilege], KIND[name.count(".")], name)
    seen = [n for n in sorted(NAMES) if full.access.sees(ANN, "table", n)]
    assert listed(full, ANN) == seen
    paged: list[str] = []
    while page := listed(full, ANN, limit=size, after=paged[-1] if paged else None):
        assert len(page) == size or paged + page == seen
        paged += page
    assert paged == seen
    for place in ("dev", "prod"):
        assert listed(full, ANN, catalog=place) == [n for n in seen if n.startswith(f"{place}.")]
        assert listed(full, ANN, schema=f"{place}.a", limit=2) == [n for n in seen if n.startswith(f"{place}.a.")][:2]
    schemas = [s.name for s in full.catalog.listed(ANN, "schema")]
    assert schemas == [s for s in sorted({n.rpartition(".")[0] for n in NAMES}) if full.access.sees(ANN, "schema", s)]


def test_code_under_test_lists_its_throw_away_schemas_alone(full: Any) -> None:
    guest = Identity("request-7", environment="dev", run_id="r1", scratch="mr7")
    assert listed(full, guest) == [f"dev.mr7__raw.t{i}" for i in range(4)]
    assert listed(full, guest, catalog="prod") == []


def test_a_grant_on_what_is_not_there_yet_leaves_no_gap_in_a_page(full: Any) -> None:
    full.access.grant("root", ["team"], ["USE SCHEMA"], "schema", "dev.a")
    full.access.grant("root", ["team"], ["USE CATALOG"], "catalog", "dev")
    for name in ("t00", "t1", "t3"):
        full.access.grant("root", ["team"], ["SELECT"], "table", f"dev.a.{name}")
    assert listed(full, ANN, limit=2) == ["dev.a.t1", "dev.a.t3"]
