"""On whose behalf MLflow's handlers work: set by the server's guard for a request, or once for a process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from boathouse.errors import NotPermitted, Unauthenticated
from boathouse.names import parse

MAY_SEE = ("EXECUTE", "BROWSE", "PROMOTE", "APPROVE", "CREATE MODEL", "MANAGE")
MAY_EDIT = ("CREATE MODEL", "PROMOTE", "MANAGE")
MAY_READ = ("RUN", "DEPLOY", "SELECT", "EXECUTE", "MANAGE")
"""Experiments, runs and their files are shown to who works in the environment as a whole, as the runs of jobs are."""
MAY_LOG = ("RUN", "MODIFY", "CREATE MODEL", "MANAGE")


Denied = Callable[[str, str, str], None]
"""Hears of a refusal: (principal, privilege, name)."""


def unheard(_principal: str, _privilege: str, _name: str) -> None:
    """Refusals that no audit log hears of."""


def nothing(_privilege: str) -> tuple[int, ...]:
    """No experiment."""
    return ()


@dataclass(frozen=True)
class Actor:
    """A principal inside an environment; `allow(privilege, name)` answers for a catalog, schema or model.

    A bound actor (a task, a token made for one environment) changes nothing in other environments, whatever
    its grants; for a person the environment only completes names. `denied` hears of every refusal. `environments` are
    all that there are. `run_id` is the job run that a task belongs to. `shared(privilege)` are the experiments on which
    it was granted it; whoever is `outside` has nothing but these, not even in the environment it works in.
    """

    principal: str
    allow: Callable[[str, str], bool]
    environment: str | None = None
    scratch: str | None = None
    bound: bool = True
    denied: Denied = unheard
    environments: tuple[str, ...] = ()
    run_id: str | None = None
    shared: Callable[[str], tuple[int, ...]] = nothing
    outside: bool = False

    def readable(self) -> tuple[str, ...]:
        """Environments whose runs and experiments this actor may see: its own, and those where it may work or read."""
        return self._where(MAY_READ, self.environments)

    def writable(self) -> tuple[str, ...]:
        """Environments whose runs and experiments this actor may change."""
        return self._where(MAY_LOG, () if self.bound else self.environments)

    def _where(self, privileges: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
        own = (self.environment,) if self.environment and not self.outside else ()
        return (*own, *(e for e in others if e not in own and self.allow("USE CATALOG", e) and self.may(privileges, e)))

    def full(self, name: str) -> str:
        """A model's full name: two levels mean this actor's environment. Raises InvalidName."""
        return str(parse(name, self.environment, self.scratch))

    def may(self, privileges: tuple[str, ...], name: str) -> bool:
        """Whether one of the privileges is held."""
        return any(self.allow(privilege, name) for privilege in privileges)

    def change(self, privileges: tuple[str, ...], name: str) -> None:
        """Pass if the model lies in this actor's environment and one of the privileges is held.

        Raises NotPermitted.
        """
        catalog = name.partition(".")[0]
        if self.bound and self.environment not in (None, catalog):
            self.denied(self.principal, privileges[0], name)
            raise NotPermitted(
                f"{self.principal} works in {self.environment} and cannot change {name}: "
                f"models are made and moved inside their own environment, {catalog}",
                missing={"environment": catalog, "on": name},
            )
        if not self.may(privileges, name):
            self.denied(self.principal, privileges[0], name)
            # nothing can be granted on a model, or a schema, that is still to be made
            where = f"--catalog {catalog}" if privileges == ("CREATE MODEL",) else f"--model {name}"
            raise NotPermitted(
                f"{self.principal} lacks {' or '.join(privileges)} on {name}; ask for "
                f"`boathouse grants add '{privileges[0]}' {where} --to {self.principal}`",
                missing={"privilege": privileges[0], "on": name},
            )


_acting: ContextVar[Actor | None] = ContextVar("acting", default=None)


def actor(default: Actor | None = None) -> Actor:
    """Who acts now. Raises Unauthenticated when nobody does."""
    if found := _acting.get() or default:
        return found
    raise Unauthenticated("no identity came with this call to MLflow; go through the server or boathouse.connect()")


@contextmanager
def acting_as(who: Actor) -> Iterator[None]:
    """Work on behalf of `who` inside the block, its threads started by asyncio or anyio included."""
    token = _acting.set(who)
    try:
        yield
    finally:
        _acting.reset(token)
