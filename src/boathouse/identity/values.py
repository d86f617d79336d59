"""Values of the room."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

PrincipalKind = Literal["user", "group", "service_principal"]
Via = Literal["platform", "token", "run", "workload", "session"]


EVERYBODY = "account users"
"""The group that every principal is in, without being put there."""


@dataclass(frozen=True)
class Principal:
    """Someone or something that grants can name."""

    name: str
    kind: PrincipalKind
    members: tuple[str, ...] = ()
    disabled: bool = False


@dataclass(frozen=True)
class Identity:
    """Who a request comes from, inside which environment and run it works, and how it proved that.

    `bound` identities reach nothing outside their environment. `credential` is the id of the token or session.
    `lent`: a run of a job that runs as another than its environment's own service principal.
    """

    principal: str
    groups: frozenset[str] = field(default_factory=frozenset)
    environment: str | None = None
    run_id: str | None = None
    commit: str | None = None
    scratch: str | None = None
    via: Via = "platform"
    credential: str = ""
    lent: bool = False

    @property
    def names(self) -> frozenset[str]:
        """The principal, its groups and EVERYBODY: whoever of these holds a grant, the identity holds it."""
        return self.groups | {self.principal, EVERYBODY}

    @property
    def bound(self) -> bool:
        """Whether this came with a token that somebody made, or lent a run, for one environment: it is good nowhere else."""
        return self.environment is not None and (self.lent or self.via in ("token", "workload"))


@dataclass(frozen=True)
class Token:
    """A token as lists show it; the secret itself is shown once, when it is made. `prefix` is how it begins."""

    id: str
    principal: str
    prefix: str
    comment: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    run_id: str | None
    environment: str | None
    origin: str


@dataclass(frozen=True)
class Session:
    """A browser's session as lists show it."""

    id: str
    principal: str
    method: str
    address: str
    agent: str
    created_at: datetime
    expires_at: datetime
    seen_at: datetime


@dataclass(frozen=True)
class Workload:
    """A rule by which another issuer's token stands for a service principal; `*` stands for any characters."""

    id: str
    principal: str
    issuer: str
    audience: str
    subject: str
    claims: dict[str, str] = field(default_factory=dict)
    environment: str | None = None
