"""Who is asking: principals, groups, service principals, and the ways to prove who one is: tokens, passwords, sessions."""

from boathouse.identity.attempts import Attempts
from boathouse.identity.codes import Codes, challenge_of
from boathouse.identity.lifetime import Lifetime
from boathouse.identity.passwords import Passwords
from boathouse.identity.service import Identities
from boathouse.identity.sessions import Sessions, form_token, is_form_token
from boathouse.identity.values import Identity, Principal, PrincipalKind, Session, Token

__all__ = [
    "Attempts", "Codes", "Identities", "Identity", "Lifetime", "Passwords", "Principal", "PrincipalKind", "Session",
    "Sessions", "Token", "challenge_of", "form_token", "is_form_token",
]  # fmt: skip
