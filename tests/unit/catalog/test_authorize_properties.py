"""`authorize` against a second reading of the rules: slow, literal, and sharing no code with the first.

A machine grants, revokes, hands over, nests groups and drops at random. Two access controls, each with a
database connection of its own as two processes have, must both agree with the literal reading after every step.
"""

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from boathouse.catalog import METASTORE, AccessControl, Audit, Catalog, Lineage, Securables
from boathouse.database import Database
from boathouse.errors import InvalidInput
from boathouse.events import Outbox
from boathouse.identity import Identities, Identity

KINDS = {
    METASTORE: "metastore", "dev": "catalog", "prod": "catalog", "dev.raw": "schema", "dev.gold": "schema", "prod.raw": "schema",
    "dev.raw.events": "table", "dev.gold.daily": "table", "prod.raw.events": "table", "dev.gold.delay": "model",
    "dev.raw.images": "volume", "dev.gold.clean": "function", "dev.ask": "endpoint", "prod.train": "job",
    "prod.ingest": "project",
}  # fmt: skip
PEOPLE = ("ada", "bob")
GROUPS = ("team", "crowd", "firm")
PRINCIPALS = (*PEOPLE, *GROUPS)
NAMES = sorted(KINDS)
WANTED = ("USE CATALOG", "USE SCHEMA", "BROWSE", "CREATE TABLE", "SELECT", "MODIFY", "EXECUTE", "QUERY", "RUN", "MANAGE")


class Rules:
    """What B4 of the reference says, word by word, over plain sets."""

    def __init__(self) -> None:
        self.grants: set[tuple[str, str, str]] = set()  # (principal, privilege, name)
        self.owners: dict[str, str] = {}
        self.members: set[tuple[str, str]] = set()  # (group, member)

    def everyone(self, person: str) -> set[str]:
        """The person and each group that holds one of those found so far, until no more are found."""
        found = {person}
        while True:
            more = found | {group for group, member in self.members if member in found}
            if more == found:
                return found
            found = more

    def owns(self, person: str, name: str) -> bool:
        return self.owners.get(name) in self.everyone(person)

    def granted(self, person: str, privilege: str, name: str) -> bool:
        """On the securable or anything above it: inheritance goes downwards."""
        levels = name.split(".")
        places = {".".join(levels[:n]) for n in range(1, len(levels) + 1)} | {METASTORE}
        words = {privilege} if privilege == "MANAGE" else {privilege, "ALL PRIVILEGES"}
        return any((who, word, place) in self.grants for who in self.everyone(person) for word in words for place in places)

    def uses(self, person: str, name: str) -> bool:
        """OWNER | USE CATALOG, and where there is a schema above or at the name, OWNER | USE SCHEMA."""
        levels = name.split(".")
        ok = self.owns(person, levels[0]) or self.granted(person, "USE CATALOG", levels[0])
        in_schema = KINDS[name] in ("schema", "table", "volume", "model", "function")
        if ok and in_schema:
            schema = ".".join(levels[:2])
            ok = self.owns(person, schema) or self.granted(person, "USE SCHEMA", schema)
        return ok

    def uses_above(self, person: str, name: str) -> bool:
        """What stands above the name may be used."""
        parent = name.rpartition(".")[0]
        return self.uses(person, parent) if parent else True

    def may(self, person: str, privilege: str, name: str) -> bool:
        held = self.owns(person, name) or self.granted(person, privilege, name)
        if KINDS[name] == "metastore":
            return held
        catalog = name.partition(".")[0]
        if privilege == "BROWSE":
            return held
        if privilege == "MANAGE":
            schema = ".".join(name.split(".")[:2])
            below_schema = name.count(".") == 2
            by_catalog = catalog != name and self.owns(person, catalog)
            by_schema = below_schema and self.owns(person, schema) and self.uses(person, catalog)
            return by_catalog or by_schema or (held and self.uses_above(person, name))
        if privilege in ("USE CATALOG", "USE SCHEMA"):
            return held and self.uses_above(person, name)
        return held and self.uses_above(person, name) and self.uses(person, name)

    def may_grant(self, person: str, name: str) -> bool:
        """Owner of the object or of any parent, or MANAGE."""
        return self.owns(person, METASTORE) or self.may(person, "MANAGE", name)

    def sees(self, person: str, name: str) -> bool:
        """metastore owner | catalog owner | schema owner + USE CATALOG | both USEs + OWNER or one that shows it."""
        if self.owns(person, METASTORE) or self.granted(person, "BROWSE", name):
            return True
        if KINDS[name] == "metastore":
            return self.granted(person, "MANAGE", name)
        levels = name.split(".")
        if len(levels) > 1 and self.owns(person, levels[0]):
            return True
        if len(levels) == 3 and self.owns(person, ".".join(levels[:2])) and self.uses(person, levels[0]):
            return True
        shows = {
            "catalog": ["USE CATALOG", "MANAGE"], "schema": ["USE SCHEMA", "MANAGE"], "table": ["SELECT", "MODIFY", "MANAGE"],
            "volume": ["READ VOLUME", "WRITE VOLUME", "MANAGE"], "model": ["EXECUTE", "PROMOTE", "APPROVE", "MANAGE"],
            "function": ["EXECUTE", "MANAGE"], "endpoint": ["QUERY", "MANAGE ENDPOINT", "MANAGE"],
            "job": ["RUN", "DEPLOY", "SELECT", "EXECUTE", "MANAGE"], "project": ["RUN", "DEPLOY", "SELECT", "EXECUTE", "MANAGE"],
        }[KINDS[name]]  # fmt: skip
        return self.uses_above(person, name) and (self.owns(person, name) or any(self.granted(person, p, name) for p in shows))


class TwoProcesses(RuleBasedStateMachine):
    """Changes through one, questions to both."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="access-")
        place = Path(self.folder.name)
        self.databases = [Database(f"sqlite:///{place / 'm.db'}") for _ in range(2)]
        self.databases[0].create_tables()
        audits = [Audit(database, place / "audit.key", place / "audit.head") for database in self.databases]
        self.controls = [AccessControl(d, a) for d, a in zip(self.databases, audits, strict=True)]
        parts = [self.controls[0], audits[0], Lineage(self.databases[0]), Outbox(self.databases[0]), place.as_uri()]
        self.catalog = Catalog(self.databases[0], *parts)  # type: ignore[arg-type]
        self.identities = [Identities(database) for database in self.databases]
        self.securables = Securables(self.databases[0], self.catalog, self.identities[0], ())
        self.rules = Rules()
        with self.databases[0].writing():
            for name in PRINCIPALS:
                self.identities[0].create(name, "group" if name in GROUPS else "user")
            for name in sorted(NAMES, key=len):
                self.catalog.adopt(KINDS[name], name, "firm")  # type: ignore[arg-type]
        self.rules.owners = dict.fromkeys(NAMES, "firm")

    @rule(who=st.sampled_from(PRINCIPALS), privilege=st.sampled_from((*WANTED, "ALL PRIVILEGES")), name=st.sampled_from(NAMES))
    def grant(self, who: str, privilege: str, name: str) -> None:
        with suppress(InvalidInput):  # what means nothing there cannot be granted
            self.controls[0].grant("root", [who], [privilege], KINDS[name], name)  # type: ignore[arg-type]
            self.rules.grants.add((who, privilege, name))

    @rule(data=st.data())
    def revoke(self, data: Any) -> None:
        if self.rules.grants:
            principal, privilege, name = data.draw(st.sampled_from(sorted(self.rules.grants)))
            self.controls[1].revoke("root", principal, privilege, KINDS[name], name)  # type: ignore[arg-type]
            self.rules.grants.discard((principal, privilege, name))

    @rule(name=st.sampled_from(NAMES), owner=st.sampled_from(PRINCIPALS))
    def hand_over(self, name: str, owner: str) -> None:
        root = Identity(self.rules.owners[METASTORE])
        self.securables.alter(root, KINDS[name], name, owner=owner)  # type: ignore[arg-type]
        self.rules.owners[name] = owner

    @rule(group=st.sampled_from(GROUPS), member=st.sampled_from(PRINCIPALS))
    def join(self, group: str, member: str) -> None:
        if group not in self.rules.everyone(member) and member not in self.rules.everyone(group):
            self.identities[0].add_member(group, member)
            self.rules.members.add((group, member))

    @rule(data=st.data())
    def leave(self, data: Any) -> None:
        if self.rules.members:
            group, member = data.draw(st.sampled_from(sorted(self.rules.members)))
            self.identities[1].remove_member(group, member)
            self.rules.members.discard((group, member))

    @invariant()
    def both_agree_with_the_rules(self) -> None:
        if not hasattr(self, "controls"):
            return
        for person in PEOPLE:
            for access, identities in zip(self.controls, self.identities, strict=True):
                who = Identity(person, identities.groups_of(person))
                for name, kind in KINDS.items():
                    wrong = [p for p in WANTED if access.allows(who, p, kind, name) != self.rules.may(person, p, name)]  # type: ignore[arg-type]
                    assert not wrong, (person, name, wrong)
                    assert access.sees(who, kind, name) == self.rules.sees(person, name), (person, name, "sees")  # type: ignore[arg-type]
                    assert access.may_grant(who, kind, name) == self.rules.may_grant(person, name), (person, name)  # type: ignore[arg-type]

    def teardown(self) -> None:
        for database in getattr(self, "databases", ()):
            database.close()
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestTwoProcesses = TwoProcesses.TestCase
TestTwoProcesses.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
