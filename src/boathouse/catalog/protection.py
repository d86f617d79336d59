"""What is in use is not dropped or changed by the way: whoever does it hears who uses it, or says `force`."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from boathouse.catalog.access import AccessControl
from boathouse.catalog.audit import Audit
from boathouse.catalog.values import SecurableKind
from boathouse.errors import Conflict
from boathouse.identity import Identity
from boathouse.names import is_scratch


@dataclass(frozen=True, order=True)
class User:
    """Who uses something: `word` is how people call it, `detail` its version or stage."""

    kind: SecurableKind
    name: str
    word: str
    detail: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.word, self.name, self.detail) if part)


Users = Callable[[SecurableKind, str, Collection[str]], Collection[User]]
"""Who uses a table or function; where columns are named, who uses any of those."""


class Protection:
    """Refuses to drop or change what is in use. `users` is told by the platform, which knows models and endpoints."""

    def __init__(self, access: AccessControl, audit: Audit) -> None:
        self._access = access
        self._audit = audit
        self.users: Users = lambda _kind, _name, _columns: ()

    def check(self, identity: Identity, action: str, kind: SecurableKind, *names: str, columns: Collection[str] = (),
              kinds: Collection[str] = (), force: bool = False,
              needed: Mapping[str, Mapping[int, str]] = MappingProxyType({})) -> None:  # fmt: skip
        """Before `action`, for whoever was authorized; throw-away schemas are nobody's. Raises Conflict unless forced.

        Where `kinds` are named, other users do not count. `needed` tells of a table's versions who was trained on them.
        What was forced is kept in the audit log, with all users.
        """
        used = {name: sorted(u for u in self.users(kind, name, columns) if not kinds or u.kind in kinds)
                for name in names if not is_scratch(name)}  # fmt: skip
        used = {name: users for name, users in used.items() if users}
        if (used or needed) and not force:
            told = [f"{name} is used by {self._told(identity, users)}" for name, users in used.items()]
            told += [f"{name} version {version} is needed by {who}, which cannot be made again without it"
                     for name, versions in needed.items() for version, who in versions.items()]  # fmt: skip
            of = f" (its {', '.join(sorted(columns))})" if columns else ""
            raise Conflict(f"cannot {action}{of}: {'; '.join(told)}; nothing was changed. Move them off it first, or carry on "
                           "with --force (force=True)")  # fmt: skip
        for name in (*used, *(n for n in needed if n not in used)):
            lost = {str(version): who for version, who in needed.get(name, {}).items()}
            self._audit.record(identity.principal, f"force {action}", name,
                               {"used_by": [str(user) for user in used.get(name, ())], "columns": sorted(columns),
                                **({"needed_by": lost} if lost else {})})  # fmt: skip

    def _told(self, identity: Identity, users: list[User]) -> str:
        """Names for whoever may know them, the others counted."""
        seen = [str(user) for user in users if self._access.sees(identity, user.kind, user.name)]
        hidden = len(users) - len(seen)
        return ", ".join([*seen, *([f"{hidden} that you may not see"] if hidden else [])])
