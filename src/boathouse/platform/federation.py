"""People and programs that others vouch for: an OpenID Connect provider for people, issuers of CI systems for programs."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from boathouse.catalog import Audit
from boathouse.database import Database
from boathouse.environments import ENVIRONMENTS
from boathouse.errors import InvalidInput, NotFound, Unauthenticated
from boathouse.identity import (
    ExternalUsers,
    Identities,
    Identity,
    Issuers,
    OidcLogin,
    Provider,
    Workload,
    Workloads,
    audiences_of,
    fits,
    issuer_of,
)
from boathouse.platform.people import People

WORKLOAD_LIFETIME = timedelta(hours=1)


class Federation:
    """Turns claims that were proved into users of ours, and into tokens of service principals."""

    def __init__(self, database: Database, identities: Identities, people: People, audit: Audit, issuers: Issuers,
                 oidc: OidcLogin | None) -> None:  # fmt: skip
        self.oidc = oidc
        self._database = database
        self._identities = identities
        self._people = people
        self._audit = audit
        self._issuers = issuers
        self._external = ExternalUsers(database)
        self._workloads = Workloads(database)

    def provider(self) -> OidcLogin:
        """The provider's login. Raises NotFound where none is set."""
        if self.oidc is None:
            raise NotFound("no OpenID Connect provider is set here; the settings oidc_issuer and oidc_client_id name one")
        return self.oidc

    def log_in(self, brought: Mapping[str, str], browser: str, address: str) -> tuple[str, str]:
        """(user, where they wanted to go) for what the provider sent a browser back with.

        Raises Unauthenticated, recording whom the provider named when it named somebody.
        """
        login = self.provider()
        claims, wanted = login.finish(brought, browser)
        try:
            with self._database.writing():
                user = self._user(login.provider, claims)
                self._sync_groups(login.provider, user, claims)
        except Unauthenticated as error:
            subject = f"{claims['iss']} {claims['sub']}"
            self._audit.record("unknown", "login", subject[:255],
                               {"method": "oidc", "address": address, "reason": str(error)}, "denied")  # fmt: skip
            raise
        return user, wanted

    def link(self, who: Identity, name: str, subject: str) -> None:
        """Say which subject of the provider a user is; needs MANAGE on the metastore. Raises AlreadyExists, NotFound."""
        self._people.check_admin(who)
        issuer = self.provider().provider.issuer
        if self._identities.get(name).kind != "user" or not subject:
            raise InvalidInput(f"{name} is no user, or no subject was named")
        with self._database.writing() as connection:
            self._external.link(issuer, subject, name)
            self._audit.write(connection, who.principal, "link user", name, {"issuer": issuer, "subject": subject})

    def unlink(self, who: Identity, name: str) -> None:
        """Forget which subject a user is. Raises NotFound for who was tied to none."""
        self._people.check_admin(who)
        with self._database.writing() as connection:
            if not self._external.unlink(name):
                raise NotFound(f"{name} is tied to no subject of an issuer")
            self._audit.write(connection, who.principal, "unlink user", name)

    def trust(self, who: Identity, principal: str, issuer: str, audience: str, subject: str, *,
              claims: Mapping[str, str] | None = None, environment: str | None = None) -> Workload:  # fmt: skip
        """Let tokens of an issuer stand for a service principal; needs MANAGE on it. Raises InvalidInput."""
        self._people.check_manages(who, principal)
        if self._identities.get(principal).kind != "service_principal":
            raise InvalidInput(f"{principal} is no service principal: people log in themselves")
        if environment is not None and environment not in ENVIRONMENTS:
            raise InvalidInput(f"there is no environment {environment!r}; there are {', '.join(ENVIRONMENTS)}")
        with self._database.writing() as connection:
            made = self._workloads.add(principal, issuer, audience, subject, claims=claims, environment=environment)
            self._audit.write(connection, who.principal, "trust issuer", principal,
                              {k: v for k, v in made.__dict__.items() if k != "principal"})  # fmt: skip
        return made

    def trusted(self, who: Identity, principal: str) -> list[Workload]:
        """The rules of a service principal; needs MANAGE on it."""
        self._people.check_manages(who, principal)
        return self._workloads.of(principal)

    def distrust(self, who: Identity, principal: str, rule_id: str) -> None:
        """Remove a rule; tokens that were given for it hold for their hour. Needs MANAGE. Raises NotFound."""
        self._people.check_manages(who, principal)
        with self._database.writing() as connection:
            self._workloads.remove(principal, rule_id)
            self._audit.write(connection, who.principal, "distrust issuer", principal, {"id": rule_id})

    def exchange(self, token: str, principal: str | None, address: str) -> tuple[str, str]:
        """(service principal, a token of an hour) for a workload's identity token.

        Raises Unauthenticated when no rule trusts it, InvalidInput when several principals do and none is named.
        """
        issuer = issuer_of(token)
        rules = self._workloads.of_issuer(issuer)
        if not rules:
            raise Unauthenticated("no service principal trusts the issuer of this token; see `boathouse principals trust`")
        claims = self._proved(issuer, token, sorted({r.audience for r in rules}))
        found = [r for r in rules if fits(r, claims) and principal in (None, r.principal)]
        if not found:
            self._audit.record("unknown", "login", str(claims["sub"])[:255],
                               {"method": "workload", "issuer": issuer, "address": address}, "denied")  # fmt: skip
            raise Unauthenticated(f"no service principal trusts {claims['sub']!r} of {issuer}, or not with its claims: "
                                  "`boathouse principals trusted NAME` shows whom each trusts")  # fmt: skip
        if len({r.principal for r in found}) > 1:
            raise InvalidInput(f"say which `principal` is meant: {', '.join(sorted({r.principal for r in found}))}")
        return found[0].principal, self._issue(found[0], claims, address)

    def _issue(self, rule: Workload, claims: Mapping[str, Any], address: str) -> str:
        holder = self._identities.find(rule.principal)
        if holder is None or holder.disabled:
            raise Unauthenticated(f"{rule.principal} may not log in: ask an admin")
        details = {"method": "workload", "issuer": rule.issuer, "subject": claims["sub"], "address": address}
        with self._database.writing() as connection:
            made = self._identities.issue(rule.principal, comment=str(claims["sub"]), lifetime=WORKLOAD_LIFETIME,
                                          environment=rule.environment, origin="workload")  # fmt: skip
            self._audit.write(connection, rule.principal, "login", rule.principal, details)
        return made

    def _proved(self, issuer: str, token: str, audiences: list[str]) -> dict[str, Any]:
        if not set(audiences) & set(named := audiences_of(token)):
            meant = " and ".join(named) or "of nobody"
            said = f"the identity token of {issuer} is for the audience {meant}, which no service principal trusts"
            raise Unauthenticated(f"{said}: ask the CI system for another")
        reason: Unauthenticated | None = None
        for audience in audiences:
            try:
                return self._issuers.claims(issuer, token, audience)
            except Unauthenticated as error:
                reason = error
        raise reason or Unauthenticated("the token is for nobody here")

    def _user(self, provider: Provider, claims: Mapping[str, Any]) -> str:
        """The user that claims name, made where the settings say so."""
        if known := self._external.find(provider.issuer, claims["sub"]):
            return known
        name = self._name(provider, claims)
        found = self._identities.find(name)
        if found is None and not provider.create_users:
            raise Unauthenticated(f"{name} is not known here; an admin can run `boathouse users create {name}`")
        if found is not None:
            self._check_linkable(provider, name, claims)
        else:
            self._identities.create(name, "user")
        with self._database.writing() as connection:
            self._external.link(provider.issuer, claims["sub"], name)
            deed = "link user" if found else "create user"
            self._audit.write(connection, name, deed, name, {"issuer": provider.issuer, "subject": claims["sub"]})
        return name

    def _name(self, provider: Provider, claims: Mapping[str, Any]) -> str:
        given = claims.get(provider.username_claim)
        email, verified = str(claims.get("email", "")).lower(), claims.get("email_verified") is True
        if provider.domains and (not verified or email.rpartition("@")[2] not in provider.domains):
            raise Unauthenticated(f"only people of {', '.join(provider.domains)}, with a verified e-mail address, may log in")
        if not isinstance(given, str) or not given.strip():
            raise Unauthenticated(f"{provider.name} did not say the {provider.username_claim} (the setting oidc_username_claim)")
        if provider.username_claim != "email":
            return given.strip()
        if not verified:
            raise Unauthenticated(f"{provider.name} has not verified the e-mail address {email}")
        return email

    def _check_linkable(self, provider: Provider, name: str, claims: Mapping[str, Any]) -> None:
        """A name alone is no proof: whoever may choose it at the provider could take a user's place here."""
        found = self._identities.get(name)
        other = self._external.subject(provider.issuer, name)
        if found.kind == "user" and other is None and provider.username_claim == "email":
            return
        raise Unauthenticated(
            f"{name} is there already and is not tied to this account of {provider.name}; an admin can run "
            f"`boathouse users link {name} {claims['sub']}`"
        )

    def _sync_groups(self, provider: Provider, user: str, claims: Mapping[str, Any]) -> None:
        """Membership of groups that are mapped is the provider's business, as of this login."""
        said = claims.get(provider.groups_claim)
        if not provider.groups or not isinstance(said, list | str):
            return
        named = set(said if isinstance(said, list) else said.split())
        wanted = {ours for theirs, ours in provider.groups.items() if theirs in named}
        inside = {g for g in set(provider.groups.values()) if user in self._identities.get(g).members}
        with self._database.writing() as connection:
            for group in sorted(wanted - inside):
                self._identities.add_member(group, user)
                self._audit.write(connection, user, "add member", group, {"member": user, "by": provider.issuer})
            for group in sorted(inside - wanted):
                self._identities.remove_member(group, user)
                self._audit.write(connection, user, "remove member", group, {"member": user, "by": provider.issuer})
