"""Shares hold tables under names of their own, and are opened by tokens that expire and can be revoked."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from boathouse.catalog import METASTORE, Shares
from boathouse.catalog.store import share_tokens
from boathouse.database import Database
from boathouse.errors import AlreadyExists, InvalidInput, NotFound, NotPermitted, Unauthenticated
from boathouse.identity import Identity

OLGA, SAM = Identity("olga"), Identity("sam")
DAY = timedelta(days=1)


@pytest.fixture
def shares(world: Any, database: Database) -> Shares:
    world.catalog.adopt("metastore", METASTORE, "admins")
    world.access.grant("root", ["olga", "sam"], ["CREATE SHARE"], "metastore", METASTORE)
    world.table("dev.raw.events", {"n": [1]})
    made = Shares(database, world.catalog)
    made.create(OLGA, "partners")
    return made


def test_a_share_holds_tables_under_its_own_names(shares: Shares) -> None:
    shares.add(OLGA, "partners", "dev.raw.events")
    shares.add(OLGA, "partners", "dev.raw.events", "public.all")
    assert [t.shared_as for t in shares.tables("partners")] == ["public.all", "raw.events"]
    with pytest.raises(AlreadyExists, match="--as"):
        shares.add(OLGA, "partners", "dev.raw.events")
    with pytest.raises(InvalidInput, match=r"schema\.table"):
        shares.add(OLGA, "partners", "dev.raw.events", "events")
    shares.remove(OLGA, "partners", "public.all")
    shares.remove(OLGA, "partners", "dev.raw.events")
    assert shares.tables("partners") == []


def test_only_who_manages_a_table_can_share_it(world: Any, shares: Shares) -> None:
    shares.create(SAM, "mine")
    with pytest.raises(NotPermitted, match=r"dev"):
        shares.add(SAM, "mine", "dev.raw.events")
    with pytest.raises(NotPermitted, match="MANAGE on partners"):
        shares.add(SAM, "partners", "dev.raw.events")
    assert [s.name for s in shares.managed_by(SAM)] == ["mine"]
    assert ("sam", "denied MANAGE", "partners") in world.denials()


def test_a_token_is_kept_as_a_digest_and_opens_until_it_is_revoked(database: Database, shares: Shares) -> None:
    secret, token = shares.invite(OLGA, "partners", "sam", DAY)
    assert shares.recipient(secret).principal == "sam"
    with database.reading() as connection:
        assert secret not in str(connection.execute(sa.select(share_tokens)).all())
    assert [t.id for t in shares.tokens(OLGA, "partners")] == [token.id]
    shares.revoke(OLGA, "partners", token.id)
    with pytest.raises(Unauthenticated):
        shares.recipient(secret)


def test_a_token_that_is_over_opens_nothing(shares: Shares) -> None:
    secret, token = shares.invite(OLGA, "partners", "sam", timedelta(seconds=-1))
    for given in ({"secret": secret}, {"token_id": token.id}, {"secret": "bhd_guess"}, {"secret": None}):
        with pytest.raises(Unauthenticated):
            shares.recipient(**given)  # type: ignore[arg-type]


def test_a_dropped_table_is_shared_no_more_not_even_by_the_next_of_its_name(world: Any, shares: Shares) -> None:
    shares.add(OLGA, "partners", "dev.raw.events")
    world.catalog.drop_table(OLGA, "dev.raw.events")
    world.table("dev.raw.events", {"other": ["secret"]})
    assert shares.tables("partners") == []


def test_a_dropped_share_takes_its_tokens_along(shares: Shares) -> None:
    secret, _ = shares.invite(OLGA, "partners", "sam", DAY)
    shares.drop(OLGA, "partners")
    shares.create(SAM, "partners")
    with pytest.raises(Unauthenticated):
        shares.recipient(secret)
    with pytest.raises(AlreadyExists):
        shares.create(OLGA, "partners")


def test_all_of_it_is_audited(world: Any, shares: Shares) -> None:
    shares.add(OLGA, "partners", "dev.raw.events")
    _, token = shares.invite(OLGA, "partners", "sam", DAY)
    shares.revoke(OLGA, "partners", token.id)
    with pytest.raises(NotFound):
        shares.revoke(OLGA, "partners", token.id)
    actions = [e.action for e in reversed(world.audit.entries(subject="partners"))]
    assert actions == ["create share", "share table", "invite to share", "revoke share token"]
