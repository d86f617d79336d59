"""Whose rights a job may run with: asked of whoever deployed it, at the deployment, at each submission and at each launch."""

from collections.abc import Iterable, Mapping
from typing import Any

from boathouse.catalog import METASTORE, AccessControl, Audit
from boathouse.environments import is_lent, named_principal, principal_of
from boathouse.errors import Conflict, InvalidInput, NotFound, NotPermitted
from boathouse.identity import Identities, Identity
from boathouse.jobs import Run

DEPLOYER = "deployed_by"
"""The key of a run's definition that says who deployed the job, where it runs as a principal of `run_as`."""
_PRIVILEGE = "USE SERVICE PRINCIPAL"
_WORDS = {"user": "user", "service_principal": "service principal", "group": "group"}


class RunAs:
    """The rule: as oneself; as any, for admins; as a service principal, with USE SERVICE PRINCIPAL on it."""

    def __init__(self, identities: Identities, access: AccessControl, audit: Audit) -> None:
        self._identities = identities
        self._access = access
        self._audit = audit

    def check_bundle(self, deployer: str, environment: str, resources: Iterable[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Before a deployment: for every job of a bundle, `check`."""
        for kind, key, body in resources:
            if kind == "job":
                self.check(deployer, environment, key, body)

    def check(self, deployer: str, environment: str, job: str, body: Mapping[str, Any]) -> None:
        """Pass where the deployer may let the job run as whom it names.

        Asked of the deployer as such, not of the token it came with: a run reaches its own environment alone anyway.
        Raises NotFound, InvalidInput, Conflict for a principal that cannot be; NotPermitted, and records the denial.
        """
        named = named_principal(body)
        if named is None or not is_lent(environment, named[1]):
            return
        kind, name = named
        self._check_principal(job, kind, name)
        who = Identity(deployer, self._identities.groups_of(deployer))
        known = self._identities.find(deployer)
        gone = known is not None and known.disabled
        if gone or not self._may_use(who, kind, name):
            self._refuse(who, environment, job, kind, name)

    def definition(self, deployer: str, environment: str, job: str, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """(principal, definition) for a run of a deployed job. Raises as `check` does."""
        self.check(deployer, environment, job, body)
        principal = principal_of(environment, body)
        lent = {DEPLOYER: deployer} if is_lent(environment, principal) else {}
        return principal, {**body, **lent}

    def check_launch(self, run: Run) -> None:
        """Ask again when a run's turn has come. Raises as `check` does."""
        if deployer := run.definition.get(DEPLOYER):
            self.check(str(deployer), run.environment, run.job, run.definition)

    def _check_principal(self, job: str, kind: str, name: str) -> None:
        found = self._identities.find(name)
        if found is None:
            made = f"boathouse {'principals' if kind == 'service_principal' else 'users'} create {name}"
            raise NotFound(f"the job {job!r} runs as the {_WORDS[kind]} {name}, who is not known here: `{made}` makes it")
        if found.kind != kind:
            raise InvalidInput(f"the job {job!r} runs as the {_WORDS[kind]} {name}, which is a {_WORDS[found.kind]}")
        if found.disabled:
            raise Conflict(f"the job {job!r} runs as {name}, who is disabled; `boathouse users enable {name}` lets it in again")

    def _may_use(self, who: Identity, kind: str, name: str) -> bool:
        if who.principal == name or self._access.allows(who, "MANAGE", "metastore", METASTORE):
            return True
        return kind == "service_principal" and self._access.allows(who, _PRIVILEGE, "service_principal", name)

    def _refuse(self, who: Identity, environment: str, job: str, kind: str, name: str) -> None:
        subject = f"{environment}.{job}"
        self._audit.deny(who.principal, "denied run_as", subject, {"run_as": name})
        grant = f"an admin can run `boathouse grants add '{_PRIVILEGE}' --principal {name} --to {who.principal}`"
        alone = f"only {name} and admins deploy what runs as {name}; use a service principal"
        raise NotPermitted(
            f"{who.principal} may not let the job {job!r} run as {name}: {grant if kind == 'service_principal' else alone}",
            missing={"privilege": _PRIVILEGE if kind == "service_principal" else "MANAGE",
                     "securable": name if kind == "service_principal" else METASTORE},
        )  # fmt: skip
