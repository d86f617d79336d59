"""Catalogs beside the environments; comments and owners of securables of every kind."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from boathouse.catalog import METASTORE, Securables
from boathouse.database import Database
from boathouse.errors import AlreadyExists, Conflict, NotFound, NotPermitted
from boathouse.identity import Identities, Identity

OLGA, SAM = Identity("olga"), Identity("sam")


@pytest.fixture
def held(world: Any, database: Database) -> Securables:
    world.catalog.adopt("metastore", METASTORE, "admins")
    world.access.grant("root", ["olga"], ["CREATE CATALOG"], "metastore", METASTORE)
    identities = Identities(database)
    for name in ("olga", "sam", "admins"):
        identities.create(name, "user")
    return Securables(database, world.catalog, identities, ("dev", "prod"))


def test_who_may_create_catalogs_owns_what_they_make(world: Any, held: Securables) -> None:
    made = held.create_catalog(OLGA, "archive", "old years")
    assert (made.owner, made.comment) == ("olga", "old years")
    world.table("archive.y2012.flights", {"n": [1]})
    with pytest.raises(NotPermitted, match="USE CATALOG"):
        world.ask("SELECT * FROM archive.y2012.flights", SAM)
    with pytest.raises(AlreadyExists):
        held.create_catalog(OLGA, "archive")


def test_others_make_no_catalogs_and_the_refusal_is_recorded(world: Any, held: Securables) -> None:
    with pytest.raises(NotPermitted, match="CREATE CATALOG"):
        held.create_catalog(SAM, "mine")
    assert world.denials() == [("sam", "denied CREATE CATALOG", METASTORE)]


def test_an_environment_is_not_dropped_and_a_full_catalog_only_with_all_in_it(world: Any, held: Securables) -> None:
    held.create_catalog(OLGA, "archive")
    info = world.table("archive.y2012.flights", {"n": [1]})
    with pytest.raises(Conflict, match="1 schemas"):
        held.drop_catalog(OLGA, "archive")
    held.drop_catalog(OLGA, "archive", cascade=True)
    with pytest.raises(NotFound):
        world.catalog.table(info.name)
    with pytest.raises(Conflict, match="environment"):
        held.drop_catalog(Identity("a", frozenset({"admins"})), "dev", cascade=True)


def test_a_new_owner_manages_at_once_and_the_former_no_longer(world: Any, held: Securables) -> None:
    world.table("dev.raw.events", {"n": [1]})
    world.access.grant("root", ["sam"], ["USE CATALOG", "USE SCHEMA"], "catalog", "dev")
    held.alter(OLGA, "table", "dev.raw.events", owner="sam", comment="handed over")
    held.alter(OLGA, "schema", "dev.raw", owner="admins")
    assert world.catalog.table("dev.raw.events").owner == "sam"
    assert world.access.allows(SAM, "SELECT", "table", "dev.raw.events")
    with pytest.raises(NotPermitted, match="olga lacks"):
        held.alter(OLGA, "table", "dev.raw.events", owner="olga")


def test_what_changes_is_audited_with_what_it_was(world: Any, held: Securables) -> None:
    world.table("dev.raw.events", {"n": [1]})
    held.alter(OLGA, "table", "dev.raw.events", comment="all of them")
    held.alter(OLGA, "table", "dev.raw.events", comment="all of them")
    entries = [e for e in world.audit.entries(subject="dev.raw.events") if e.action == "alter table"]
    assert [e.details for e in entries] == [{"comment": "all of them", "former_comment": ""}]


def test_the_metastore_is_handed_over_by_its_owner_alone(held: Securables) -> None:
    with pytest.raises(NotPermitted, match="MANAGE on boathouse"):
        held.alter(OLGA, "metastore", METASTORE, owner="olga")
    held.alter(Identity("root", frozenset({"admins"})), "metastore", METASTORE, owner="olga")
    held.alter(OLGA, "metastore", METASTORE, owner="admins")


def test_what_is_not_there_has_no_owner_to_change(held: Securables) -> None:
    with pytest.raises(NotPermitted):
        held.alter(OLGA, "table", "dev.raw.nothing", comment="x")


def test_what_two_adopt_at_once_is_there_once_and_neither_hears_of_it(world: Any, held: Securables) -> None:
    with ThreadPoolExecutor(4) as threads:
        for number in range(20):
            at_once = Barrier(4)

            def adopt(name: str = f"dev.oss.m{number}", at_once: Barrier = at_once) -> None:
                at_once.wait()
                world.catalog.adopt("model", name, "olga")

            for done in [threads.submit(adopt) for _ in range(4)]:
                done.result()
            assert world.catalog.require("model", f"dev.oss.m{number}").owner == "olga"
