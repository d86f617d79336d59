"""The audit chain: what was written stays as it was written, or it shows."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from boathouse.catalog import Audit
from boathouse.database import Database


@pytest.fixture
def audit(database: Database, tmp_path: Path) -> Audit:
    made = Audit(database, tmp_path / "secrets" / "audit.key", tmp_path / "audit.head")
    for subject in ("dev.raw.a", "dev.raw.b", "dev.raw.c"):
        made.record("ada", "create table", subject, {"rows": 1})
    return made


def change(database: Database, statement: str) -> None:
    """As somebody who owns the database and lifts its guards."""
    with database.writing() as connection:
        for verb in ("update", "delete"):
            connection.execute(sa.text(f"DROP TRIGGER IF EXISTS bh_audit_no_{verb}"))
        connection.execute(sa.text(statement))


@pytest.mark.parametrize("statement", ["UPDATE bh_audit SET principal = 'eve'", "DELETE FROM bh_audit"])
def test_the_database_itself_refuses_to_change_an_entry(audit: Audit, database: Database, statement: str) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), database.writing() as connection:
        connection.execute(sa.text(statement))
    assert len(audit.entries()) == 3


def test_entries_are_found_by_principal_action_outcome_and_time(audit: Audit) -> None:
    audit.record("bob", "grant", "dev", outcome="denied")
    newest = audit.entries(1)[0]
    assert [e.sequence for e in audit.entries(principal="bob")] == [4]
    assert [e.sequence for e in audit.entries(outcome="denied", action="grant", since=newest.at)] == [4]
    assert [e.sequence for e in audit.entries(until=newest.at)] == [3, 2, 1]


def test_reads_are_counted_and_written_as_one_entry_each(audit: Audit) -> None:
    for _ in range(3):
        audit.count_read("ada", "SELECT", "dev.raw.a")
    audit.count_read("bob", "SELECT", "dev.raw.a")
    assert len(audit.entries()) == 3
    audit.write_reads()
    audit.write_reads()
    found = [(e.principal, e.action, e.details["count"]) for e in audit.entries(subject="dev.raw.a") if e.action == "read"]
    assert found == [("bob", "read", 1), ("ada", "read", 3)]
    assert audit.verify() is None


def test_entries_come_newest_first_and_by_subject(audit: Audit) -> None:
    assert [(e.sequence, e.subject) for e in audit.entries(2)] == [(3, "dev.raw.c"), (2, "dev.raw.b")]
    (only,) = audit.entries(subject="dev.raw.a")
    assert (only.principal, only.action, only.outcome, only.details) == (
        "ada",
        "create table",
        "done",
        {"rows": 1},
    )
    assert only.at.tzinfo is not None


def test_a_whole_chain_verifies(audit: Audit) -> None:
    assert audit.verify() is None
    assert audit.publish_head().startswith("3 ")
    audit.record("bob", "grant", "dev", outcome="denied")
    assert audit.verify() is None


@pytest.mark.parametrize(
    "what",
    [
        "principal = 'eve'",
        "details = '{\"rows\": 2}'",
        "outcome = 'denied'",
        "at = '2013-01-01T00:00:00+00:00'",
    ],
)
def test_a_changed_entry_shows(audit: Audit, database: Database, what: str) -> None:
    change(database, f"UPDATE bh_audit SET {what} WHERE sequence = 2")
    assert audit.verify() == "entry 2 was changed"


@pytest.mark.parametrize("gone", [1, 2])
def test_a_removed_entry_shows(audit: Audit, database: Database, gone: int) -> None:
    change(database, f"DELETE FROM bh_audit WHERE sequence = {gone}")
    assert audit.verify() == f"entry {gone} is missing"


def test_renumbered_entries_show(audit: Audit, database: Database) -> None:
    change(database, "DELETE FROM bh_audit WHERE sequence = 2")
    change(database, "UPDATE bh_audit SET sequence = 2 WHERE sequence = 3")
    assert audit.verify() == "entry 2 was changed"


def test_an_entry_by_another_key_shows(audit: Audit, database: Database, tmp_path: Path) -> None:
    Audit(database, tmp_path / "other.key", tmp_path / "other.head").record("eve", "grant", "prod")
    assert audit.verify() == "entry 4 was changed"


def test_a_cut_end_shows_by_the_published_head(audit: Audit, database: Database) -> None:
    audit.publish_head()
    change(database, "DELETE FROM bh_audit WHERE sequence > 1")
    assert audit.verify() == "entries from 2 on are missing: the published head names a later one"


def test_a_cut_end_shows_even_when_new_entries_took_its_place(audit: Audit, database: Database) -> None:
    audit.publish_head()
    change(database, "DELETE FROM bh_audit WHERE sequence = 3")
    audit.record("eve", "grant", "prod")
    audit.record("eve", "grant", "prod")
    assert audit.verify() == "entry 3 is not the one that the published head names"


def test_a_lost_end_is_not_covered_by_publishing_anew(audit: Audit, database: Database) -> None:
    published = audit.publish_head()
    change(database, "DELETE FROM bh_audit WHERE sequence = 3")
    assert audit.publish_head() == published
    assert audit.verify() is not None


def test_an_entry_shares_the_fate_of_its_transaction(audit: Audit, database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.writing() as connection:  # noqa: PT012
        audit.write(connection, "ada", "drop table", "dev.raw.a")
        raise ZeroDivisionError
    assert len(audit.entries()) == 3
    assert audit.verify() is None


def test_the_key_is_readable_by_its_owner_only(audit: Audit, tmp_path: Path) -> None:
    assert (tmp_path / "secrets" / "audit.key").stat().st_mode & 0o077 == 0
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
