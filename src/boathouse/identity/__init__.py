"""Who is asking: principals, groups, service principals and tokens."""

from boathouse.identity.service import Identities
from boathouse.identity.values import Identity, Principal, Token

__all__ = ["Identities", "Identity", "Principal", "Token"]
