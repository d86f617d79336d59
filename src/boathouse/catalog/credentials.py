"""Who gets which keys: short-lived ones to one table's files where the store has STS, none elsewhere."""

import threading
from datetime import timedelta

from boathouse import clock
from boathouse.catalog.audit import Audit
from boathouse.identity import Identity
from boathouse.lake import Credentials, Storage, Storages, assume


class CredentialDesk:
    """Hands out scoped credentials, the same ones until half of their life is over.

    Grants are asked before. A revoked grant stops the next handing-out; credentials that are out live on until
    they expire, which no store lets us change.
    """

    def __init__(self, storages: Storages, audit: Audit, lifetime: timedelta) -> None:
        self._storages = storages
        self._audit = audit
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._out: dict[tuple[str, str, bool], Credentials] = {}

    def scoped(self, identity: Identity, subject: str, place: Storage, write: bool) -> Credentials | None:
        """What opens a place of a subject's, to read or to write; None where the store has no STS. Raises Unavailable."""
        environment = subject.partition(".")[0]
        role = self._storages.role_for(environment, place)
        if role is None:
            return None
        asked, now = (identity.principal, place.url, write), clock.now()
        with self._lock:
            self._out = {k: c for k, c in self._out.items() if c.expires_at - now > self._lifetime / 2}
            known = self._out.get(asked)
        if known:
            return known
        session = f"{identity.principal}@{identity.run_id or 'boathouse'}"
        fresh = assume(place, role, session, self._lifetime, write)
        with self._lock:
            self._out[asked] = fresh
        self._audit.record(identity.principal, "issue credentials", subject,
                           {"write": write, "expires_at": fresh.expires_at.isoformat()})  # fmt: skip
        return fresh
