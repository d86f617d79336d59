"""Values of the room."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

PrincipalKind = Literal["user", "group", "service_principal"]


@dataclass(frozen=True)
class Principal:
    """Someone or something that grants can name."""

    name: str
    kind: PrincipalKind
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Identity:
    """Who a request comes from, and inside which environment and run it works."""

    principal: str
    groups: frozenset[str] = field(default_factory=frozenset)
    environment: str | None = None
    run_id: str | None = None
    commit: str | None = None
    scratch: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """The principal and its groups: whoever of these holds a grant, the identity holds it."""
        return self.groups | {self.principal}


@dataclass(frozen=True)
class Token:
    """A token as lists show it; the secret itself is shown once, when it is made."""

    id: str
    principal: str
    comment: str
    created_at: datetime
    expires_at: datetime | None
    run_id: str | None
    environment: str | None
