"""Who may do what: a pure function over grants, after the rules of Unity Catalog.

A privilege granted on a securable holds for all below it. Reaching a table also takes USE CATALOG and
USE SCHEMA. An owner has every privilege on the object itself, but owning a parent gives no data:
the owner must first grant it, which the audit shows.
"""

from collections.abc import Callable, Collection, Sequence

from boathouse.errors import InvalidInput

PRIVILEGES = (
    "USE CATALOG", "USE SCHEMA", "BROWSE", "CREATE CATALOG", "CREATE SCHEMA", "CREATE TABLE", "CREATE VOLUME",
    "CREATE MODEL", "CREATE FUNCTION", "SELECT", "MODIFY", "READ VOLUME", "WRITE VOLUME", "EXECUTE", "MANAGE",
    "DEPLOY", "RUN", "MERGE", "PROMOTE", "APPROVE", "MANAGE ENDPOINT", "QUERY", "ALL PRIVILEGES",
)  # fmt: skip

_NOT_IN_ALL = {"MANAGE"}

Chain = Sequence[tuple[str, str]]
"""(kind, full name) of a securable and its parents, innermost first."""


def normal(privilege: str) -> str:
    """A privilege in our spelling; `use_catalog` and `USE CATALOG` are one. Raises InvalidInput."""
    spelled = privilege.strip().upper().replace("_", " ")
    if spelled not in PRIVILEGES:
        raise InvalidInput(f"{privilege!r} is no privilege; they are {', '.join(PRIVILEGES)}")
    return spelled


def chain(kind: str, name: str) -> Chain:
    """A securable with its parents."""
    levels = name.split(".")
    if kind in ("metastore", "catalog", "service_principal"):
        return [(kind, name)]
    if kind == "schema":
        return [("schema", name), ("catalog", levels[0])]
    if len(levels) == 2:  # endpoints and jobs hang below the environment itself
        return [(kind, name), ("catalog", levels[0])]
    return [(kind, name), ("schema", ".".join(levels[:2])), ("catalog", levels[0])]


def missing(
    privilege: str,
    securables: Chain,
    who: frozenset[str],
    holders: Callable[[str, str, str], Collection[str]],
    owner: Callable[[str, str], str | None],
) -> tuple[str, str] | None:
    """The first (privilege, securable) that `who` lacks, or None when all is granted.

    `holders(privilege, kind, name)` names who was granted it on exactly that securable.
    """
    name = securables[0][1]
    for outer_kind, outer in reversed(securables[1:]):
        use = "USE CATALOG" if outer_kind == "catalog" else "USE SCHEMA"
        if not _holds(use, _from(securables, outer_kind), who, holders, owner):
            return use, outer
    return None if _holds(privilege, securables, who, holders, owner) else (privilege, name)


def _from(securables: Chain, kind: str) -> Chain:
    start = next(i for i, (k, _) in enumerate(securables) if k == kind)
    return securables[start:]


def _holds(
    privilege: str,
    securables: Chain,
    who: frozenset[str],
    holders: Callable[[str, str, str], Collection[str]],
    owner: Callable[[str, str], str | None],
) -> bool:
    if owner(*securables[0]) in who:
        return True
    if privilege == "MANAGE" and any(owner(kind, name) in who for kind, name in securables):
        return True
    accepted = (privilege,) if privilege in _NOT_IN_ALL else (privilege, "ALL PRIVILEGES")
    return any(
        not who.isdisjoint(holders(p, kind, name))
        for kind, name in securables
        for p in accepted
    )
