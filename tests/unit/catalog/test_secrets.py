"""Secrets rest encrypted under a key that lies apart, and are read under a grant."""

import base64
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa

from boathouse.catalog import SecretKeys, forms, redacted
from boathouse.catalog.store import secrets
from boathouse.errors import Conflict, InvalidInput, InvalidName, NotFound, NotPermitted
from boathouse.identity import Identity
from boathouse.platform import Platform

VALUE = 'hunter2 "quoted" & spaced'


def root(platform: Platform) -> Identity:
    return Identity(platform.operator, frozenset({"admins"}))


def jobs(platform: Platform, run: str | None = None) -> Identity:
    return Identity("dev-jobs", environment="dev", run_id=run)


def sealed(platform: Platform) -> tuple[str, str]:
    with platform.database.reading() as connection:
        row = connection.execute(sa.select(secrets)).mappings().one()
    return row["sealed"], row["master"]


def test_a_secret_is_read_by_who_was_granted_it_and_by_nobody_else(platform: Platform) -> None:
    platform.secrets.put(root(platform), "dev", "mail/password", VALUE)
    with pytest.raises(NotPermitted, match=r"--secret-scope dev\.mail --to dev-jobs"):
        platform.secrets.read(jobs(platform), "dev", "mail/password")
    platform.access.grant("root", ["dev-jobs"], ["READ SECRET"], "secret_scope", "dev.mail")
    assert platform.secrets.read(jobs(platform, "r1"), "dev", "mail/password") == VALUE
    entry = platform.audit.entries(1, "dev.mail/password", action="read secret")[0]
    assert (entry.principal, entry.details) == ("dev-jobs", {"run": "r1"})
    assert platform.secrets.values_of("r1") == [VALUE]


def test_all_privileges_do_not_hold_for_reading(platform: Platform) -> None:
    platform.secrets.put(root(platform), "dev", "mail/password", VALUE)
    platform.access.grant("root", ["ada"], ["ALL PRIVILEGES"], "catalog", "dev")
    with pytest.raises(NotPermitted, match="READ SECRET"):
        platform.secrets.read(Identity("ada"), "dev", "mail/password")


def test_a_new_scope_takes_manage_on_the_environment_and_its_owner_keeps_it(platform: Platform) -> None:
    ada = Identity("ada")
    with pytest.raises(NotPermitted, match="MANAGE"):
        platform.secrets.put(ada, "dev", "own/key", "x")
    platform.secrets.put(root(platform), "dev", "own/key", "x")
    platform.access.grant("root", ["ada"], ["USE CATALOG"], "catalog", "dev")
    platform.access.grant("root", ["ada"], ["MANAGE"], "secret_scope", "dev.own")
    platform.secrets.put(ada, "dev", "own/key", "y")
    assert platform.secrets.read(root(platform), "dev", "own/key") == "y"
    assert [s.key for s in platform.secrets.list(ada, "dev")] == ["key"]
    assert platform.secrets.list(Identity("bob"), "dev") == []


def test_what_lies_in_the_database_and_in_the_home_does_not_hold_it(platform: Platform) -> None:
    platform.secrets.put(root(platform), "dev", "mail/password", VALUE)
    for path in platform.settings.home.rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes()
    key = platform.settings.path("secrets", "master.key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_changed_or_exchanged_row_does_not_open(platform: Platform) -> None:
    platform.secrets.put(root(platform), "dev", "mail/password", VALUE)
    with platform.database.writing() as connection:
        connection.execute(secrets.update().values(key="other"))
    with pytest.raises(Conflict, match="was changed"):
        platform.secrets.read(root(platform), "dev", "mail/other")


def test_a_rotation_seals_all_under_a_new_key(platform: Platform) -> None:
    platform.secrets.put(root(platform), "dev", "mail/password", VALUE)
    before, key = sealed(platform), platform.settings.path("secrets", "master.key").read_text()
    assert platform.secrets.rotate(root(platform)) == 1
    after = sealed(platform)
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert platform.settings.path("secrets", "master.key").read_text() not in (key, "")
    assert platform.secrets.read(root(platform), "dev", "mail/password") == VALUE
    with pytest.raises(NotPermitted):
        platform.secrets.rotate(jobs(platform))


def test_a_rotation_that_was_cut_off_loses_nothing_and_the_next_one_ends_it(platform: Platform) -> None:
    platform.secrets.put(root(platform), "dev", "mail/password", VALUE)
    path = platform.settings.path("secrets", "master.key")
    SecretKeys(path, None).renew()
    assert platform.secrets.read(root(platform), "dev", "mail/password") == VALUE
    platform.secrets.rotate(root(platform))
    assert len(path.read_text().split()) == 1
    assert platform.secrets.read(root(platform), "dev", "mail/password") == VALUE


def test_keys_of_the_setting_open_in_turn(tmp_path: Path) -> None:
    old, new = "o" * 32, "n" * 32
    name, sealed = SecretKeys(tmp_path / "none", old).seal(VALUE, "dev.a/b")
    both = SecretKeys(tmp_path / "none", f"{new} {old}")
    assert both.open(name, sealed, "dev.a/b") == VALUE
    with pytest.raises(Conflict, match="another master key"):
        SecretKeys(tmp_path / "none", new).open(name, sealed, "dev.a/b")
    with pytest.raises(InvalidInput, match="32 are the least"):
        SecretKeys(tmp_path / "none", "short")
    assert not (tmp_path / "none").exists()


def test_a_scope_goes_with_its_secrets_and_its_grants(platform: Platform) -> None:
    platform.secrets.put(root(platform), "dev", "mail/password", VALUE)
    platform.access.grant("root", ["dev-jobs"], ["READ SECRET"], "secret_scope", "dev.mail")
    assert platform.secrets.delete(root(platform), "dev", "mail") == 1
    with pytest.raises(NotFound, match="no secret scope mail"):
        platform.secrets.delete(root(platform), "dev", "mail")
    platform.secrets.put(root(platform), "dev", "mail/password", VALUE)
    with pytest.raises(NotPermitted):
        platform.secrets.read(jobs(platform), "dev", "mail/password")


@pytest.mark.parametrize("name", ["mail", "mail/", "/key", "a.b/key", "a/b/c", "a/b c"])
def test_names_that_name_nothing_are_refused(platform: Platform, name: str) -> None:
    with pytest.raises(InvalidName, match="write scope/key"):
        platform.secrets.put(root(platform), "dev", name, "x")


def test_a_secret_is_hidden_in_every_form_it_is_likely_to_have() -> None:
    encoded = base64.b64encode(VALUE.encode()).decode()
    said = {"plain": f"x {VALUE} y", "json": ['hunter2 \\"quoted\\" & spaced'], "url": "hunter2%20%22quoted%22%20%26%20spaced",
            "html": "hunter2 &quot;quoted&quot; &amp; spaced", "base64": f"basic {encoded}", "number": 7}  # fmt: skip
    hidden = redacted(said, [VALUE])
    assert "hunter2" not in str(hidden)
    assert encoded not in str(hidden)
    assert hidden["number"] == 7
    assert forms("abc") == ()
