"""Who is asking: principals, groups, service principals, and the ways to prove who one is: tokens, passwords, sessions."""

from boathouse.identity.attempts import Attempts
from boathouse.identity.codes import Codes, challenge_of
from boathouse.identity.external import ExternalUsers
from boathouse.identity.issuers import Issuers, audiences_of, issuer_of
from boathouse.identity.lifetime import Lifetime
from boathouse.identity.oidc import OidcLogin, Provider
from boathouse.identity.passwords import Passwords
from boathouse.identity.secret import digest
from boathouse.identity.service import LENT, Identities
from boathouse.identity.sessions import Sessions, form_token, is_form_token
from boathouse.identity.values import EVERYBODY, Identity, Principal, PrincipalKind, Session, Token, Workload
from boathouse.identity.workloads import Workloads, fits

__all__ = [
    "EVERYBODY",
    "LENT",
    "Attempts",
    "Codes",
    "ExternalUsers",
    "Identities",
    "Identity",
    "Issuers",
    "Lifetime",
    "OidcLogin",
    "Passwords",
    "Principal",
    "PrincipalKind",
    "Provider",
    "Session",
    "Sessions",
    "Token",
    "Workload",
    "Workloads",
    "audiences_of",
    "challenge_of",
    "digest",
    "fits",
    "form_token",
    "is_form_token",
    "issuer_of",
]  # fmt: skip
