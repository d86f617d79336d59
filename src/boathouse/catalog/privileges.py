"""Who may do what: pure functions over what is known of a securable and its parents, after Unity Catalog's rules.

A privilege granted on a securable holds for all below it, now and later. To reach anything takes USE CATALOG
on its catalog and USE SCHEMA on its schema. An owner has every privilege on the object itself. Owning a
parent lets one see, manage and drop what is below, and gives no data: the owner must first grant it, which
the audit shows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from boathouse.errors import InvalidInput

METASTORE = "boathouse"
"""The name of the one securable above all catalogs, of kind `metastore`."""

PARENTS: dict[str, tuple[str, ...]] = {
    "metastore": (),
    "catalog": ("metastore",),
    "external_location": ("metastore",),
    "service_principal": ("metastore",),
    "share": ("metastore",),
    "schema": ("catalog", "metastore"),
    "table": ("schema", "catalog", "metastore"),
    "volume": ("schema", "catalog", "metastore"),
    "model": ("schema", "catalog", "metastore"),
    "function": ("schema", "catalog", "metastore"),
    "project": ("catalog", "metastore"),
    "endpoint": ("catalog", "metastore"),
    "secret_scope": ("catalog", "metastore"),
    "compute": ("catalog", "metastore"),
    "experiment": ("catalog", "metastore"),
    "job": ("project", "catalog", "metastore"),
}
"""Kind -> the kinds above it, nearest first."""

ACTS_ON: dict[str, tuple[str, ...]] = {
    "USE CATALOG": ("catalog",), "USE SCHEMA": ("schema",), "BROWSE": tuple(PARENTS),
    "CREATE CATALOG": ("metastore",), "CREATE EXTERNAL LOCATION": ("metastore",), "CREATE SHARE": ("metastore",),
    "CREATE EXTERNAL METADATA": ("metastore",),
    "CREATE SCHEMA": ("catalog",),
    "CREATE TABLE": ("schema",), "CREATE VOLUME": ("schema",), "CREATE MODEL": ("schema",), "CREATE FUNCTION": ("schema",),
    "SELECT": ("table", "experiment"), "MODIFY": ("table", "experiment"), "READ VOLUME": ("volume",), "WRITE VOLUME": ("volume",),
    "EXECUTE": ("model", "function"),
    "READ FILES": ("external_location",), "WRITE FILES": ("external_location",),
    "CREATE EXTERNAL TABLE": ("external_location",), "CREATE EXTERNAL VOLUME": ("external_location",),
    "MANAGE": tuple(PARENTS),
    "DEPLOY": ("catalog", "project"), "RUN": ("catalog", "project", "job"), "MERGE": ("catalog",),
    "PROMOTE": ("model",), "APPROVE": ("model",), "MANAGE ENDPOINT": ("endpoint",), "QUERY": ("endpoint",),
    "READ SECRET": ("secret_scope",), "USE COMPUTE": ("compute",), "USE SERVICE PRINCIPAL": ("service_principal",),
    "ALL PRIVILEGES": tuple(k for k in PARENTS if k not in ("metastore", "service_principal")),
}  # fmt: skip
"""Privilege -> the kinds it does something on. It may be granted on those, and on what is above them."""

PRIVILEGES = tuple(ACTS_ON)

SEEN_BY: dict[str, tuple[str, ...]] = {
    "catalog": ("USE CATALOG", "MANAGE"), "schema": ("USE SCHEMA", "MANAGE"), "table": ("SELECT", "MODIFY", "MANAGE"),
    "volume": ("READ VOLUME", "WRITE VOLUME", "MANAGE"), "function": ("EXECUTE", "MANAGE"),
    "model": ("EXECUTE", "PROMOTE", "APPROVE", "MANAGE"), "endpoint": ("QUERY", "MANAGE ENDPOINT", "MANAGE"),
    "external_location": ("READ FILES", "WRITE FILES", "CREATE EXTERNAL TABLE", "CREATE EXTERNAL VOLUME", "MANAGE"),
    "project": ("RUN", "DEPLOY", "SELECT", "EXECUTE", "MANAGE"), "job": ("RUN", "DEPLOY", "SELECT", "EXECUTE", "MANAGE"),
    "metastore": ("MANAGE",), "service_principal": ("USE SERVICE PRINCIPAL", "MANAGE"),
    "share": ("MANAGE",), "secret_scope": ("READ SECRET", "MANAGE"), "compute": ("USE COMPUTE", "MANAGE"),
    "experiment": ("SELECT", "MODIFY", "MANAGE"),
}  # fmt: skip
"""Kind -> the privileges of which one lets a caller know that a securable of the kind exists, besides BROWSE.

Projects, jobs and their runs are shown to who works in the environment as a whole, or with just them: logs tell too
much of the data for whoever was given a table or a schema alone.
"""

_USE = {"catalog": "USE CATALOG", "schema": "USE SCHEMA"}
_NO_WAY_NEEDED = ("USE CATALOG", "USE SCHEMA", "BROWSE")
_NOT_IN_ALL = ("MANAGE", "READ SECRET")
OWNER = "OWNER"

Chain = tuple[tuple[str, str], ...]
"""(kind, full name) of a securable and its parents, innermost first."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of one securable: who owns it, who was granted what on exactly it, and of a job its project."""

    kind: str
    name: str
    owner: str | None = None
    holders: Mapping[str, frozenset[str]] = field(default_factory=dict)
    project: str | None = None


Line = Sequence[Held]
"""A securable and its parents, innermost first."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a privilege is held: `principal` was granted `privilege` there, or owns it (`OWNER`)."""

    principal: str
    privilege: str
    kind: str
    securable: str


@dataclass(frozen=True, slots=True)
class Step:
    """One privilege that a question takes, and why it is held; None where it is not."""

    privilege: str
    kind: str
    securable: str
    reason: Reason | None


@lru_cache(maxsize=256)
def normal(privilege: str) -> str:
    """A privilege in our spelling; `use_catalog` and `USE CATALOG` are one. Raises InvalidInput."""
    spelled = privilege.strip().upper().replace("_", " ")
    if spelled not in ACTS_ON:
        raise InvalidInput(f"{privilege!r} is no privilege; they are {', '.join(PRIVILEGES)}")
    return spelled


def grantable(privilege: str, kind: str) -> bool:
    """Whether a grant of the privilege on such a securable does anything. Raises InvalidInput for no privilege."""
    return _grantable(normal(privilege), kind)


def check_grantable(privilege: str, kind: str) -> None:
    """Raises InvalidInput for a grant that could never do anything."""
    if not _grantable(privilege, kind):
        places = [k for k in PARENTS if _grantable(privilege, k)]
        raise InvalidInput(f"{privilege} cannot be granted on a {kind}; it can on a {' or a '.join(places)}")


def _grantable(privilege: str, kind: str) -> bool:
    acts = ACTS_ON[privilege]
    return kind in acts or (kind != "metastore" and any(kind in PARENTS[k] for k in acts))


@lru_cache(maxsize=262_144)
def chain(kind: str, name: str, project: str | None = None) -> Chain:
    """A securable with its parents; `project` is the one that a job belongs to."""
    levels = name.split(".")
    above: list[tuple[str, str]] = []
    for parent in PARENTS.get(kind, ()):
        if parent == "schema":
            above.append(("schema", ".".join(levels[:2])))
        elif parent == "project":
            above += [("project", project)] if project else []
        else:
            above.append((parent, METASTORE if parent == "metastore" else levels[0]))
    return ((kind, name), *above)


def missing(privilege: str, line: Line, who: frozenset[str]) -> tuple[str, str] | None:
    """The first (privilege, securable) that `who` lacks, or None when all is granted."""
    if privilege == "MANAGE" and _ruler(line, who):
        return None
    for needed, place in _needs(privilege, line):
        if not _holds(needed, place, who):
            return needed, place[0].name
    return None


def may_grant(line: Line, who: frozenset[str]) -> bool:
    """Whether `who` may grant, revoke and hand over: an owner of the object or of any parent, or with MANAGE."""
    return line[-1].owner in who or missing("MANAGE", line, who) is None


def sees(line: Line, who: frozenset[str]) -> bool:
    """Whether `who` may know that the securable exists."""
    if _holds("BROWSE", line, who, owning=False) or line[-1].owner in who or _ruler(line, who):
        return True
    if not all(_holds(needed, place, who) for needed, place in _way(line[1:])):
        return False
    return line[0].owner in who or any(_holds(p, line, who) for p in SEEN_BY[line[0].kind])


def explain(privilege: str, line: Line, who: frozenset[str]) -> list[Step]:
    """Each privilege that the question takes, and why `who` holds it."""
    if privilege == "MANAGE" and (ruler := _ruler(line, who)):
        return [Step("MANAGE", line[0].kind, line[0].name, Reason(str(ruler.owner), OWNER, ruler.kind, ruler.name))]
    return [Step(p, at[0].kind, at[0].name, _reason(p, at, who)) for p, at in _needs(privilege, line)]


def effective(line: Line) -> list[Reason]:
    """Who holds which privileges that mean something on a securable, and where each was granted; owners too."""
    kind = line[0].kind
    acts = {p for p, kinds in ACTS_ON.items() if kind in kinds}
    found = [Reason(line[0].owner, OWNER, kind, line[0].name)] if line[0].owner else []
    for place in line:
        found += [Reason(w, p, place.kind, place.name) for p in sorted(acts) for w in sorted(place.holders.get(p, ()))]
    return found


def _needs(privilege: str, line: Line) -> Iterator[tuple[str, Line]]:
    """(privilege, line from where it is asked), the way first and outermost first."""
    if privilege not in _NO_WAY_NEEDED:
        yield from _way(line[1:] if privilege == "MANAGE" or line[0].kind not in _USE else line)
    elif privilege != "BROWSE":
        yield from _way(line[1:])
    yield privilege, line


def _way(places: Line) -> Iterator[tuple[str, Line]]:
    for i in range(len(places) - 1, -1, -1):
        if use := _USE.get(places[i].kind):
            yield use, places[i:]


def _ruler(line: Line, who: frozenset[str]) -> Held | None:
    """The parent whose owner manages what is below: a catalog's, or with USE CATALOG a schema's or project's."""
    for i in range(1, len(line)):
        place = line[i]
        if place.owner not in who or place.kind == "metastore":
            continue
        if place.kind == "catalog" or all(_holds(needed, at, who) for needed, at in _way(line[i + 1 :])):
            return place
    return None


def _holds(privilege: str, line: Line, who: frozenset[str], owning: bool = True) -> bool:
    if owning and line[0].owner in who:
        return True
    for place in line:
        holders = place.holders
        if privilege in holders and not who.isdisjoint(holders[privilege]):
            return True
        if "ALL PRIVILEGES" in holders and privilege not in _NOT_IN_ALL and not who.isdisjoint(holders["ALL PRIVILEGES"]):
            return True
    return False


def _reason(privilege: str, line: Line, who: frozenset[str]) -> Reason | None:
    if line[0].owner in who:
        return Reason(str(line[0].owner), OWNER, line[0].kind, line[0].name)
    accepted = (privilege,) if privilege in _NOT_IN_ALL else (privilege, "ALL PRIVILEGES")
    return next(
        (Reason(min(who & place.holders[p]), p, place.kind, place.name)
         for place in line for p in accepted if not who.isdisjoint(place.holders.get(p, ()))),
        None,
    )  # fmt: skip
