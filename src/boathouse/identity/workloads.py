"""Which tokens of other issuers (a CI system's, for example) stand for a service principal."""

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from boathouse.database import Database
from boathouse.errors import InvalidInput, NotFound
from boathouse.identity import secret
from boathouse.identity.issuers import check_address
from boathouse.identity.store import workloads
from boathouse.identity.values import Workload


class Workloads:
    """Rules: an issuer, an audience, a subject and further claims that a token must have to act as a service principal."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, principal: str, issuer: str, audience: str, subject: str, *, claims: Mapping[str, str] | None = None,
            environment: str | None = None) -> Workload:  # fmt: skip
        """A new rule. `*` in the subject and in claims stands for any characters. Raises InvalidInput."""
        check_address(issuer, "the issuer")
        if not audience or subject.startswith("*") or not subject:
            raise InvalidInput("a rule needs an audience, and a subject that does not begin with *: others use this issuer, too")
        if any(word.count("*") > 3 for word in (subject, *(claims or {}).values())):
            raise InvalidInput("three * in one pattern are enough")
        made = Workload(secret.public_id(), principal, issuer, audience, subject, dict(claims or {}), environment)
        with self._database.writing() as connection:
            connection.execute(workloads.insert().values(**made.__dict__))
        return made

    def of(self, principal: str) -> list[Workload]:
        """The rules of a service principal."""
        return self._found(workloads.c.principal == principal)

    def of_issuer(self, issuer: str) -> list[Workload]:
        """The rules that trust an issuer."""
        return self._found(workloads.c.issuer == issuer)

    def remove(self, principal: str, rule_id: str) -> None:
        """Trust no more. Raises NotFound."""
        which = workloads.delete().where(workloads.c.id == rule_id, workloads.c.principal == principal)
        with self._database.writing() as connection:
            if not connection.execute(which).rowcount:
                raise NotFound(f"{principal} has no rule {rule_id!r}; `boathouse principals trusted {principal}` shows them")

    def _found(self, condition: sa.ColumnElement[bool]) -> list[Workload]:
        query = sa.select(workloads).where(condition).order_by(workloads.c.principal, workloads.c.id)
        with self._database.reading() as connection:
            return [Workload(**row) for row in connection.execute(query).mappings()]


def fits(rule: Workload, claims: Mapping[str, Any]) -> bool:
    """Whether a token with these claims, which were proved, is the rule's."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    wanted = {"sub": rule.subject, **rule.claims}
    return (
        claims.get("iss") == rule.issuer
        and rule.audience in audiences
        and all(_like(pattern, claims.get(name)) for name, pattern in wanted.items())
    )


def _like(pattern: str, value: Any) -> bool:
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str | int):
        return False
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), str(value)) is not None
