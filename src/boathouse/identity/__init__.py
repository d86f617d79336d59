"""Who is asking: principals, groups, service principals and tokens."""

from boathouse.identity.lifetime import Lifetime
from boathouse.identity.service import Identities
from boathouse.identity.values import Identity, Principal, PrincipalKind, Token

__all__ = ["Identities", "Identity", "Lifetime", "Principal", "PrincipalKind", "Token"]
