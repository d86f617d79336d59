"""Stages and aliases: how they move together, inside the caller's transaction.

Production and the alias champion are two names of one pointer; Staging hands out challenger.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from boathouse.errors import Conflict, NotFound
from boathouse.registry import store
from boathouse.registry.values import (
    ARCHIVED,
    CHALLENGER,
    CHAMPION,
    PRODUCTION,
    STAGING,
    StageChange,
    VersionInfo,
)

Emit = Callable[[sa.Connection, str, str, dict[str, Any]], None]
"""Writes an event (kind, subject, data) inside the transaction of the connection."""


def no_model(name: str) -> NotFound:
    """What to raise where no model has a name."""
    told = f"there is no model {name}; `boathouse models list` shows the models you may see"
    return NotFound(told, kind="model", name=name)


@dataclass(frozen=True)
class Move:
    """Who moves a version, why, and in which kind of step."""

    action: str
    principal: str
    reason: str
    evidence: str | None = None


def locked(connection: sa.Connection, name: str, version: int) -> VersionInfo:
    """The version without tags and aliases, its model locked until the transaction ends. Raises NotFound."""
    if not store.has_mlflow(connection) or not store.lock(connection, name):
        raise no_model(name)
    found = store.list_versions(connection, name, version, bare=True)
    if not found:
        raise NotFound(f"model {name} has no version {version}; `boathouse models show {name}` lists them")
    return found[0]


def move(
    connection: sa.Connection, emit: Emit, version: VersionInfo, stage: str, step: Move, held: VersionInfo | None = None
) -> bool:
    """Bring a locked version to a stage, its aliases and the Production pointer with it; False if there.

    `held` is the version in Production, which a new one supersedes. Raises Conflict when a version that is not READY
    should enter Production.
    """
    name, number = version.model, version.version
    named = store.aliases_of(connection, name)
    if version.stage == stage and (stage != PRODUCTION or named.get(CHAMPION) == number):
        return False
    if stage == PRODUCTION:
        if version.status != "READY":
            raise Conflict(f"version {number} of {name} is {version.status}, not READY: register it again")
        if held is not None and held.version != number:
            by = Move("supersede", step.principal, f"version {number} took its place", step.evidence)
            _write(connection, emit, held, ARCHIVED, by)
    _write(connection, emit, version, stage, step)
    if stage == PRODUCTION:
        store.put_production(connection, name, number)
    elif version.stage == PRODUCTION:
        store.put_production(connection, name, None)
    for alias, target in _aliases(named, number, stage, version.stage).items():
        point(connection, emit, name, alias, target, named, by=step.principal)
    store.touch(connection, name)
    return True


def point(
    connection: sa.Connection, emit: Emit, name: str, alias: str, version: int | None, named: Mapping[str, int], *, by: str
) -> None:  # fmt: skip
    """Point an alias at a version, or at none, and tell of it; `named` are the model's aliases by now."""
    before = named.get(alias)
    if before == version:
        return
    store.put_alias(connection, name, alias, version)
    kind = "model_version.alias_deleted" if version is None else "model_version.alias_set"
    number = before if version is None else version
    told = {"version": number, "alias": alias, "former_version": before, "principal": by}
    emit(connection, kind, name, told)


def previous(changes: Sequence[StageChange], current: int | None, usable: Collection[int]) -> int | None:
    """The version to roll back to: the newest that was Production before `current` and still exists.

    A rollback takes the version it leaves out of the line, so rolling back twice goes two steps back.
    Without a current version it is the last that held the place.
    """
    line: list[int] = []
    for change in changes:
        if change.to_stage != PRODUCTION:
            continue
        if change.action == "rollback" and change.version in line:
            last = len(line) - 1 - line[::-1].index(change.version)
            del line[last + 1 :]
        else:
            line.append(change.version)
    return next((v for v in reversed(line) if v != current and v in usable), None)


def _aliases(named: dict[str, int], version: int, stage: str, former_stage: str) -> dict[str, int | None]:
    moves: dict[str, int | None] = {}
    if stage == PRODUCTION:
        moves[CHAMPION] = version
    elif former_stage == PRODUCTION or named.get(CHAMPION) == version:
        moves[CHAMPION] = None
    if stage == STAGING:
        moves[CHALLENGER] = version
    elif named.get(CHALLENGER) == version:
        moves[CHALLENGER] = None
    return moves


def _write(connection: sa.Connection, emit: Emit, version: VersionInfo, stage: str, step: Move) -> None:
    told = {
        "version": version.version, "from_stage": version.stage, "to_stage": stage, "action": step.action,
        "reason": step.reason, "principal": step.principal, "evidence": step.evidence,
    }  # fmt: skip
    store.put_stage(connection, version.model, version.version, stage)
    store.add_change(connection, model=version.model, **told)
    emit(connection, "model_version.transitioned", version.model, told)
