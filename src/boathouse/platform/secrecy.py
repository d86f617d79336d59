"""Secrets as runs read them: under the run's identity, and hidden in its logs before its code has them."""

from collections.abc import Callable, Sequence

from boathouse.catalog import Secrets, forms, redacted
from boathouse.identity import Identities, Identity
from boathouse.jobs import Run, with_secrets


class Secrecy:
    """Reads secrets for callers and runs. `hide` keeps texts out of the logs of a run that goes on."""

    def __init__(self, secrets: Secrets, identities: Identities, hide: Callable[[str, Sequence[str]], None]) -> None:
        self._secrets = secrets
        self._identities = identities
        self._hide = hide

    def read(self, identity: Identity, environment: str, name: str) -> str:
        """A secret; needs READ SECRET. In a run, its logs hide it from now on. Raises NotFound, NotPermitted."""
        value = self._secrets.read(identity, environment, name)
        if identity.run_id is not None:
            self._hide(identity.run_id, forms(value))
        return value

    def of_run(self, run: Run, name: str) -> str:
        """A secret that a run's definition names, read as the run's principal. Raises NotFound, NotPermitted."""
        groups = self._identities.groups_of(run.principal)
        who = Identity(run.principal, groups, run.environment, run_id=run.id, scratch=run.scratch or None)
        return self.read(who, run.environment, name)

    def hidden(self, run: Run) -> Sequence[str]:
        """What a run's logs must not show: every form of each secret that it has read so far."""
        return [form for value in self._secrets.values_of(run.id) for form in forms(value)]

    def in_address(self, environment: str, principal: str, address: str) -> str:
        """An address with the secrets that its project file names, read as a principal. Raises NotFound, NotPermitted."""
        who = Identity(principal, self._identities.groups_of(principal), environment)
        return with_secrets(address, lambda name: self._secrets.read(who, environment, name))

    def without(self, run_id: str, value: object) -> object:
        """A value of a run without the secrets that it has read."""
        return redacted(value, self._secrets.values_of(run_id))
