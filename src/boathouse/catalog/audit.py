"""The audit log: append-only, each entry chained to the one before by an HMAC whose key lies apart."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog import append_only as _append_only  # noqa: F401  (guards stand where tables are made)
from boathouse.catalog.read_counts import ReadCounts
from boathouse.catalog.store import audit
from boathouse.catalog.values import AuditEntry
from boathouse.database import Database

_START = "0" * 64
_LAST = sa.select(audit.c.sequence, audit.c.hash).order_by(audit.c.sequence.desc()).limit(1)


@dataclass
class Heard:
    """What the log heard of a request: from whom it came, whether it was refused something.

    `pending` is a refusal inside a transaction, which would take it back with everything else.
    """

    principal: str = "nobody"
    denied: bool = False
    pending: tuple[str, str, str, dict[str, Any]] | None = None


class Audit:
    """Every change and denial, and allowed reads counted in batches. `head` names the newest link, so that a cut end shows."""

    def __init__(self, database: Database, key_file: Path, head_file: Path) -> None:
        self._database = database
        self._key = _key(key_file)
        self._head = head_file
        self._reads = ReadCounts()
        self._heard: ContextVar[Heard | None] = ContextVar(f"heard-{id(self)}", default=None)

    def write(self, connection: sa.Connection, principal: str, action: str, subject: str,
              details: dict[str, Any] | None = None, outcome: str = "done") -> None:  # fmt: skip
        """Append inside the caller's transaction, which holds the write lock."""
        last = connection.execute(_LAST).first()
        sequence, before = (last[0] + 1, last[1]) if last else (1, _START)
        row = {
            "sequence": sequence, "at": clock.now().isoformat(), "principal": principal, "action": action,
            "subject": subject, "outcome": outcome, "details": details or {},
        }  # fmt: skip
        row["hash"] = self._link(before, row)
        connection.execute(audit.insert(), row)
        if outcome == "denied" and (heard := self._heard.get()) is not None:
            heard.denied = True

    def record(self, principal: str, action: str, subject: str, details: dict[str, Any] | None = None,
               outcome: str = "done") -> None:  # fmt: skip
        """Append in a transaction of its own."""
        with self._database.writing() as connection:
            self.write(connection, principal, action, subject, details, outcome)

    def deny(self, principal: str, action: str, subject: str, details: dict[str, Any]) -> None:
        """Append a refusal. Inside a transaction, which it will end, it waits for the end of the request."""
        heard = self._heard.get()
        if self._database.in_transaction and heard is not None:
            heard.pending = (principal, action, subject, details)
            return
        self.record(principal, action, subject, details, "denied")

    def comes_from(self, principal: str) -> None:
        """Note whose request this is."""
        if heard := self._heard.get():
            heard.principal = principal

    def settle(self, heard: Heard, method: str, path: str, *, refused: bool) -> None:
        """Append what a request was refused, if the log has not heard of it yet."""
        if heard.pending:
            pending, heard.pending = heard.pending, None
            self.record(*pending, "denied")
        elif refused and not heard.denied:
            self.record(heard.principal, f"denied {method}", path, {}, "denied")

    @contextmanager
    def listening(self) -> Iterator[Heard]:
        """One request: notes whether the log hears of a refusal."""
        heard = Heard()
        token = self._heard.set(heard)
        try:
            yield heard
        finally:
            self._heard.reset(token)

    def count_read(self, principal: str, privilege: str, subject: str) -> None:
        """An allowed read, which reaches the log with all others like it at the next `write_reads`."""
        self._reads.add(principal, privilege, subject)

    def write_reads(self) -> None:
        """One entry for each caller, privilege and securable that reads were counted for."""
        since, counts = self._reads.take()
        if not counts:
            return
        with self._database.writing() as connection:
            for (principal, privilege, subject), count in sorted(counts.items()):
                details = {"privilege": privilege, "count": count, "since": since.isoformat()}
                self.write(connection, principal, "read", subject, details)

    def entries(self, limit: int = 200, subject: str | None = None, *, principal: str | None = None,
                action: str | None = None, outcome: str | None = None, since: datetime | None = None,
                until: datetime | None = None, before: int | None = None) -> list[AuditEntry]:  # fmt: skip
        """The newest entries, newest first; those that meet every condition given. `until` and entry `before` are left out."""
        query = sa.select(audit).order_by(audit.c.sequence.desc()).limit(limit)
        wanted = {"subject": subject, "principal": principal, "action": action, "outcome": outcome}
        for column, value in wanted.items():
            if value:
                query = query.where(audit.c[column] == value)
        if before is not None:
            query = query.where(audit.c.sequence < before)
        if since:
            query = query.where(audit.c.at >= since.astimezone(UTC).isoformat())
        if until:
            query = query.where(audit.c.at < until.astimezone(UTC).isoformat())
        with self._database.reading() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def tells(self, action: str, subject: str, details: dict[str, Any]) -> bool:
        """Whether any entry has this action, subject and exactly these details."""
        query = sa.select(audit.c.details).where(audit.c.subject == subject, audit.c.action == action)
        with self._database.reading() as connection:
            return any(found == details for found in connection.execute(query).scalars())

    def publish_head(self) -> str:
        """Write the newest link beside the database, for keeping elsewhere; the head that stands there now.

        A published head that the chain has lost stays, so that the loss keeps showing.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(audit.c.sequence, audit.c.hash).order_by(audit.c.sequence.desc()).limit(1)
            ).first()
            number, link = self._published()
            known = connection.execute(sa.select(audit.c.hash).where(audit.c.sequence == number)).scalar()
        if number and known != link:
            return f"{number} {link}"
        head = f"{row[0]} {row[1]}" if row else f"0 {_START}"
        self._head.write_text(head + "\n")
        return head

    def verify(self) -> str | None:
        """What is wrong with the chain: the first broken link, or None when it is whole."""
        before, expected = _START, 1
        number, link = self._published()
        with self._database.reading() as connection:
            for row in connection.execute(sa.select(audit).order_by(audit.c.sequence)).mappings():
                if row["sequence"] != expected:
                    return f"entry {expected} is missing"
                body = {k: v for k, v in dict(row).items() if k != "hash"}
                if not hmac.compare_digest(self._link(before, body), row["hash"]):
                    return f"entry {expected} was changed"
                if expected == number and row["hash"] != link:
                    return f"entry {expected} is not the one that the published head names"
                before, expected = row["hash"], expected + 1
        if number >= expected:
            return f"entries from {expected} on are missing: the published head names a later one"
        return None

    def _published(self) -> tuple[int, str]:
        words = self._head.read_text().split() if self._head.exists() else []
        return (int(words[0]), words[1]) if len(words) == 2 else (0, _START)

    def _link(self, before: str, row: dict[str, Any]) -> str:
        body = json.dumps(row, sort_keys=True, separators=(",", ":"), default=str)
        return hmac.new(self._key, f"{before}\n{body}".encode(), hashlib.sha256).hexdigest()


def _key(path: Path) -> bytes:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
    return bytes.fromhex(path.read_text())


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(
        row["sequence"], clock.parse_instant(row["at"]), row["principal"], row["action"], row["subject"],
        row["outcome"], row["details"], row["hash"],
    )  # fmt: skip
