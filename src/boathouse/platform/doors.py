"""Builds, from the settings, all that decides who may come in."""

from boathouse.catalog import AccessControl, Audit, Ownership
from boathouse.database import Database
from boathouse.errors import InvalidInput
from boathouse.identity import Codes, Identities, Issuers, Lifetime, OidcLogin, Passwords, Provider, Sessions
from boathouse.platform.federation import Federation
from boathouse.platform.logins import Logins
from boathouse.platform.people import People
from boathouse.settings import Settings


def doors(settings: Settings, database: Database, identities: Identities, access: AccessControl, audit: Audit,
          operator: str) -> tuple[People, Logins, Federation]:  # fmt: skip
    """People with their tokens, logins here, and logins that others vouch for. Raises InvalidInput naming a wrong setting."""
    lifetime = Lifetime(settings.span("token_lifetime"), settings.span("token_lifetime_max"))
    people = People(database, identities, access, Ownership(database, audit), audit, lifetime, operator)
    passwords = Passwords(database, settings.number("password_length", least=8))
    sessions = Sessions(database, settings.span("session_lifetime"), settings.span("session_idle"))
    logins = Logins(database, identities, people, passwords, sessions, audit)
    provider, issuers = provider_of(settings), Issuers()
    oidc = OidcLogin(provider, issuers, Codes(database)) if provider else None
    return people, logins, Federation(database, identities, people, audit, issuers, oidc)


def provider_of(settings: Settings) -> Provider | None:
    """The OpenID Connect provider that the settings name. Raises InvalidInput."""
    if not settings.oidc_issuer and not settings.oidc_client_id:
        return None
    if not settings.oidc_issuer or not settings.oidc_client_id:
        raise InvalidInput("the settings oidc_issuer and oidc_client_id belong together; one of them is missing")
    groups = {}
    for word in settings.words("oidc_groups"):
        theirs, equals, ours = word.partition("=")
        if not equals or not ours:
            raise InvalidInput(f"the setting oidc_groups: {word!r} is not written THEIRS=OURS")
        groups[theirs.strip()] = ours.strip()
    return Provider(
        settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret, settings.oidc_name, settings.oidc_scopes,
        settings.oidc_username_claim, settings.oidc_groups_claim, groups, settings.switch("oidc_create_users"),
        tuple(d.lower() for d in settings.words("oidc_domains")),
    )  # fmt: skip
