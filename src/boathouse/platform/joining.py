"""Servers with homes of their own on one database: what has to be the same in all of them, and where it is not, no joining.

The first home says what it has. Keys are compared by a digest, and lie in no database.
"""

import hashlib
import json
from collections.abc import Mapping

from boathouse.catalog import SecretKeys
from boathouse.database import Database, read_facts, write_facts
from boathouse.errors import Conflict
from boathouse.home import Home
from boathouse.lake import Storages
from boathouse.settings import Settings

_KEYS = ("audit.key", "endpoints.key", "secrets.key", "sharing.key", "webhooks.key")
_MASTER = "master.key"
_HOW = "see docs/how-to/several-servers.md"


class Joining:
    """Of one home."""

    def __init__(self, settings: Settings, home: Home, database: Database, storages: Storages) -> None:
        self._settings = settings
        self._home = home
        self._database = database
        self._storages = storages

    def check(self, join: bool) -> None:
        """Whether this home's server can work beside those of another home. Raises Conflict saying what has to change."""
        facts = read_facts(self._database) if join else {}
        if facts.get("home", self._home.id) == self._home.id:
            return
        where = facts["path"]
        for why in self._reasons(facts, where):
            raise Conflict(f"this home, {self._home.path}, is another than {where}, and {why}; {_HOW}")

    def tell(self, join: bool) -> None:
        """Say what this home has, where it is the first or the only one. Its keys are made by then, or here."""
        if self._database.is_sqlite or (join and read_facts(self._database).get("home", self._home.id) != self._home.id):
            return
        for name in _KEYS:
            self._home.secret(name)
        if not self._settings.secrets_key:
            _ = SecretKeys(self._home.path / "secrets" / _MASTER, None).current
        keys = {name: found for name in self._names() if (found := self._digest(name))}
        write_facts(self._database, {"home": self._home.id, "path": str(self._home.path), **self._places(), **keys})

    def _reasons(self, facts: Mapping[str, str], where: str) -> list[str]:
        settings, places = self._settings, self._places()
        differ = [name for name in places if facts.get(name) != places[name]]
        keys = [name for name in self._names() if facts.get(name) != self._digest(name)]
        reasons = [
            (any(root.local for root in self._storages.roots()),
             "tables in a folder of one machine cannot be shared: set the storage of both to an object store"),
            ("storage" in differ, f"its tables lie elsewhere: {facts.get('storage')} there, {places['storage']} here"),
            (settings.online_store == "embedded", "the embedded online store is one machine's: set online_store to a Redis"),
            (not settings.artifacts, "models' files in a home are one machine's: set artifacts to a place in an object store"),
            ("artifacts" in differ, f"models' files lie elsewhere: {facts.get('artifacts')} there, {places['artifacts']} here"),
            (keys, f"its keys are others: copy secrets/{', secrets/'.join(keys)} from {where}"),
            (not settings.address, "the other servers have to reach this one: set address to its URL"),
        ]  # fmt: skip
        return [why for wrong, why in reasons if wrong]

    def _names(self) -> tuple[str, ...]:
        return _KEYS if self._settings.secrets_key else (*_KEYS, _MASTER)

    def _places(self) -> dict[str, str]:
        storage = json.dumps({"storage": self._settings.storage, **self._settings.storages}, sort_keys=True)
        return {"storage": storage, "artifacts": self._settings.artifacts or ""}

    def _digest(self, name: str) -> str | None:
        path = self._home.path / "secrets" / name
        return hashlib.sha256(f"{name} of a lakehouse ".encode() + path.read_bytes()).hexdigest() if path.exists() else None
