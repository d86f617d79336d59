"""A server with a home of its own joins where all that has to be shared is, and hears else what is not."""

from dataclasses import replace
from pathlib import Path

import pytest

from boathouse import settings
from boathouse.database import Database
from boathouse.errors import Conflict
from boathouse.home import Home
from boathouse.lake import storages
from boathouse.platform.joining import Joining
from boathouse.settings import Settings

SHARED = {"BOATHOUSE_STORAGE": "s3://lake/a", "BOATHOUSE_ARTIFACTS": "s3://lake/models", "BOATHOUSE_ONLINE_STORE": "redis://r",
          "BOATHOUSE_ADDRESS": "http://10.0.0.2:8787"}  # fmt: skip


def joining(database: Database, wanted: Settings) -> Joining:
    wanted.home.mkdir(exist_ok=True)
    return Joining(wanted, Home(wanted), database, storages(wanted.storage, {}, {}, None, {}))


@pytest.fixture
def wanted(database: Database, tmp_path: Path) -> Settings:
    """Of a second home, whose keys are the first one's."""
    first = settings.load(SHARED, home=str(tmp_path / "first"))
    joining(database, first).check(join=True)
    joining(database, first).tell(join=True)
    keys = first.path("secrets")
    made = settings.load(SHARED, home=str(tmp_path / "second"))
    made.path("secrets").mkdir(parents=True)
    for key in keys.iterdir():
        made.path("secrets", key.name).write_text(key.read_text())
    return made


def test_a_home_that_shares_all_there_is_to_share_joins(database: Database, wanted: Settings) -> None:
    joining(database, wanted).check(join=True)
    joining(database, wanted).tell(join=True)
    joining(database, settings.load(SHARED, home=str(wanted.home.parent / "first"))).check(join=True)  # which was not replaced


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"storage": "file:///lake"}, "object store"), ({"storage": "s3://lake/b"}, "lie elsewhere"),
        ({"online_store": "embedded"}, "Redis"), ({"artifacts": None}, "artifacts"), ({"artifacts": "s3://b"}, "lie elsewhere"),
        ({"address": None}, "address"),
    ],
)  # fmt: skip
def test_one_that_does_not_hears_what_to_change(
    database: Database, wanted: Settings, change: dict[str, str | None], words: str
) -> None:
    with pytest.raises(Conflict, match=words):
        joining(database, replace(wanted, **change)).check(join=True)  # type: ignore[arg-type]


def test_one_with_other_keys_hears_which_to_copy(database: Database, wanted: Settings) -> None:
    wanted.path("secrets", "webhooks.key").write_text("another")
    wanted.path("secrets", "master.key").unlink()
    with pytest.raises(Conflict, match=r"copy secrets/webhooks.key, secrets/master.key from .*first"):
        joining(database, wanted).check(join=True)
