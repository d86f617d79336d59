"""The registry: what is registered, and the one way in which its pointers move."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from boathouse.database import Database
from boathouse.errors import Conflict, NotFound, NotPermitted
from boathouse.registry import around, comments, copies, search, store, tracked
from boathouse.registry.alias import check_alias
from boathouse.registry.comments import Comment
from boathouse.registry.indexes import install
from boathouse.registry.pointers import Emit, Move, locked, move, no_model, point, previous
from boathouse.registry.values import (
    ARCHIVED,
    CHAMPION,
    NONE,
    PRODUCTION,
    STAGES,
    STAGING,
    InUse,
    ModelInfo,
    Origin,
    StageChange,
    Verdict,
    VersionInfo,
    stage_named,
)

Audit = Callable[[sa.Connection, str, str, str, dict[str, Any]], None]
"""Writes (principal, action, subject, details) to the audit log inside the transaction of the connection."""

Users = Callable[[str, int | None], Iterable[str]]
"""Who uses a model, or one version of it, as `endpoint prod.delay`; the platform tells, which knows them."""

Entry = Callable[[str, int], None]
"""Raises Conflict where a version must not become Production at a client's word; the platform knows what delivery asks."""


class _Unset:
    pass


UNSET: Final = _Unset()


class Registry:
    """Models and versions under full names, over MLflow's tables and ours; a change is one transaction.

    Every change writes its event and its audit entry in the same transaction.
    """

    def __init__(self, database: Database, emit: Emit, audit: Audit) -> None:
        self.database = database
        self._emit = emit
        self._audit = audit
        self.users: Users = lambda _name, _version: ()
        self.on_ready: Callable[[], None] = lambda: None
        """Called when MLflow's tables are there, at each start of a server."""
        self.check_entry: Entry = lambda _name, _version: None

    def install(self) -> None:
        """Add our indexes and triggers to MLflow's tables; call it after MLflow's migrations, as often as you like."""
        with self.database.writing() as connection:
            install(connection)
        self.on_ready()

    def experiments(self, names: Iterable[str]) -> tuple[int, ...]:
        """MLflow's numbers of the experiments of these full names that are there."""
        if not self.ready():
            return ()
        with self.database.reading() as connection:
            return tracked.experiments_named(connection, names)

    def ready(self) -> bool:
        """Whether MLflow's tables are there: a server makes them when it starts."""
        with self.database.reading() as connection:
            return store.has_mlflow(connection)

    def models(self, environment: str | None = None, *, after: str | None = None, limit: int | None = None,
               part: str | None = None, tags: Sequence[tuple[str, str | None]] = ()) -> list[ModelInfo]:  # fmt: skip
        """Registered models by name, of one environment or of all: all, or the first `limit` after a name.

        `part` is a piece of the name or the description, in any case; `tags` are (key, value), or (key, None) for any value.
        """
        with self.database.reading() as connection:
            if not store.has_mlflow(connection):
                return []
            which = search.said(connection, part, tags)
            return store.list_models(connection, environment, after=after, limit=limit, which=which)

    def model(self, name: str) -> ModelInfo:
        """One model. Raises NotFound."""
        with self.database.reading() as connection:
            found = store.list_models(connection, name=name) if store.has_mlflow(connection) else []
        if not found:
            raise no_model(name)
        return found[0]

    def versions(self, name: str, limit: int | None = None, before: int | None = None) -> list[VersionInfo]:
        """The versions of a model, newest first, those older than `before`. Raises NotFound."""
        self.model(name)
        with self.database.reading() as connection:
            return store.list_versions(connection, name, limit=limit, before=before)

    def version(self, name: str, version: int) -> VersionInfo:
        """One version. Raises NotFound."""
        with self.database.reading() as connection:
            row = around.version_row(connection, name, version) if store.has_mlflow(connection) else None
        if row is None:
            newest = self.model(name).latest_version
            there = f"its newest is {newest}" if newest else "it has none yet"
            raise NotFound(f"model {name} has no version {version}, {there}; `boathouse models show {name}` lists them")
        return store.version_info(row, row["aliases"], row["tags"])

    def history(self, name: str) -> list[StageChange]:
        """Every step through the stages, oldest first. Raises NotFound."""
        self.model(name)
        with self.database.reading() as connection:
            return store.list_changes(connection, name)

    def resolve(self, name: str, ref: int | str) -> int:
        """The version that a number, `@alias`, alias, stage or `latest` means now. Raises NotFound."""
        text = str(ref).removeprefix("@")
        if text.isdigit():
            return self.version(name, int(text)).version
        info = self.model(name)
        if text.lower() in {stage.lower() for stage in STAGES}:
            with self.database.reading() as connection:
                found = store.list_versions(connection, name, stage=stage_named(text), limit=1, bare=True)
            number = found[0].version if found else None
        elif text.lower() == "latest":
            number = info.latest_version
        else:
            number = info.aliases.get(text)
        if number is None:
            raise NotFound(f"no version of {name} is {text}; {self._told(info)}")
        return number

    def _told(self, info: ModelInfo) -> str:
        """By what names the versions of a model can be asked for, in words."""
        if not info.latest_version:
            return "it has no version yet"
        with self.database.reading() as connection:
            held = [s for s in STAGES if store.list_versions(connection, info.name, stage=s, limit=1, bare=True)]
        known = [*(f"@{alias}" for alias in info.aliases), *(stage for stage in held if stage != NONE), "latest"]
        return f"it has {', '.join(known)} and versions up to {info.latest_version}"

    def transition(
        self, name: str, version: int, stage: str, *, principal: str, reason: str = "",
        expected_production: int | _Unset | None = UNSET, evidence: str | None = None,
        archive_existing: bool = False,
    ) -> VersionInfo:  # fmt: skip
        """Bring a version to a stage; Production supersedes the version that held it.

        `archive_existing` archives the other versions in Staging. `expected_production` is what the caller
        decided on: the version he saw in Production, or None. Raises NotFound, InvalidInput, and Conflict
        when another version is in Production by now.
        """
        stage = stage_named(stage)
        step = Move("promote" if stage == PRODUCTION else "transition", principal, reason, evidence)
        with self.database.writing() as connection:
            found = locked(connection, name, version)
            self._expect(connection, name, expected_production)
            if archive_existing and stage == STAGING:
                for other in store.list_versions(connection, name, stage=stage, bare=True):
                    if other.version != version:
                        why = f"version {version} took its place"
                        move(
                            connection,
                            self._emit,
                            other,
                            ARCHIVED,
                            Move("supersede", principal, why, evidence),
                        )
            self._move(connection, found, stage, step)
        return self.version(name, version)

    def promote(
        self, name: str, version: int, *, principal: str, reason: str = "",
        expected_production: int | _Unset | None = UNSET, evidence: str | None = None,
    ) -> VersionInfo:  # fmt: skip
        """Make a version Production and champion. Raises NotFound, Conflict."""
        return self.transition(
            name, version, PRODUCTION, principal=principal, reason=reason,
            expected_production=expected_production, evidence=evidence,
        )  # fmt: skip

    def rollback(self, name: str, *, principal: str, reason: str = "", evidence: str | None = None) -> VersionInfo:
        """Bring back the version that was Production before. Raises NotFound; Conflict without one."""
        with self.database.writing() as connection:
            if not store.has_mlflow(connection) or not store.lock(connection, name):
                raise no_model(name)
            held = store.list_versions(connection, name, stage=PRODUCTION, bare=True)
            current = held[0].version if held else None
            changes = store.list_changes(connection, name, PRODUCTION)
            there = store.existing(connection, name, {change.version for change in changes})
            target = previous(changes, current, there)
            if target is None:
                now = f"version {current} is" if current else "no version was ever"
                raise Conflict(f"nothing to roll {name} back to: {now} in Production; promote a version instead")
            step = Move("rollback", principal, reason, evidence)
            self._move(connection, store.list_versions(connection, name, target, bare=True)[0], PRODUCTION, step)
        return self.version(name, target)

    def set_alias(self, name: str, alias: str, version: int, *, principal: str, reason: str = "") -> None:
        """Point an alias at a version; pointing champion promotes. Raises InvalidInput, NotFound."""
        alias = check_alias(alias)
        if alias == CHAMPION:
            self.promote(name, version, principal=principal, reason=reason or "champion was pointed at it")
            return
        with self.database.writing() as connection:
            locked(connection, name, version)
            point(connection, self._emit, name, alias, version, store.aliases_of(connection, name), by=principal)
            details = {"alias": alias, "version": version, "reason": reason}
            self._audit(connection, principal, "model.set_alias", name, details)

    def delete_alias(self, name: str, alias: str, *, principal: str, reason: str = "") -> None:
        """Remove an alias; without champion its version leaves Production, too. Raises NotFound."""
        alias = check_alias(alias)
        version = self.model(name).aliases.get(alias)
        if version is None:
            raise NotFound(f"{name} has no alias {alias}; `boathouse models show {name}` lists them")
        if alias == CHAMPION:
            why = reason or "champion was taken from it"
            self.transition(
                name, version, ARCHIVED, principal=principal, reason=why, expected_production=version
            )  # fmt: skip
            return
        with self.database.writing() as connection:
            locked(connection, name, version)
            point(connection, self._emit, name, alias, None, store.aliases_of(connection, name), by=principal)
            details = {"alias": alias, "version": version, "reason": reason}
            self._audit(connection, principal, "model.delete_alias", name, details)

    def record_verdict(self, name: str, version: int, environment: str, verdict: dict[str, Any]) -> None:
        """Keep what the tests of a version concluded. Raises NotFound."""
        with self.database.writing() as connection:
            locked(connection, name, version)
            store.add_verdict(connection, model=name, version=version, environment=environment, verdict=verdict)
            told = {"version": version, "environment": environment, "verdict": verdict}
            self._emit(connection, "model_version.verdict", name, told)

    def verdicts(self, name: str, version: int | None = None) -> list[Verdict]:
        """Verdicts on a model or on one version, newest first."""
        with self.database.reading() as connection:
            return store.list_verdicts(connection, name, version)

    def origins(self, name: str, version: int) -> list[Origin]:
        """What a version is a copy of, and that one in turn, the nearest first; none for what was trained where it is."""
        with self.database.reading() as connection:
            return copies.chain(connection, name, version) if store.has_mlflow(connection) else []

    def trained(self, name: str, version: int) -> tuple[str, int]:
        """The version that training registered, of which this one is a copy, or this one. Raises NotFound when it is gone."""
        found = self.origins(name, version)
        if found and not found[-1].there:
            last = found[-1]
            raise NotFound(f"{name} version {version} is a copy of {last.model} version {last.version}, which was deleted")
        return (found[-1].model, found[-1].version) if found else (name, version)

    def copies(self, name: str, version: int | None = None) -> list[tuple[str, int, int]]:
        """Copies of a model's versions, or of one: (model, version, the version copied), oldest first."""
        with self.database.reading() as connection:
            return copies.copies_of(connection, name, version)

    def sweep(self, artifact_root: str) -> int:
        """Remove files of copies whose versions are gone, or never came to be; how many folders."""
        with self.database.reading() as connection:
            kept = copies.places(connection) if store.has_mlflow(connection) else set()
        return copies.sweep(artifact_root, kept)

    def comment(self, name: str, version: int | None, text: str, *, principal: str) -> int:
        """Say something about a model or a version; the comment's id. Raises NotFound, InvalidInput."""
        if version is None:
            self.model(name)
        with self.database.writing() as connection:
            if version is not None:
                locked(connection, name, version)
            number = comments.add(connection, name, version, principal, text)
            kind = "registered_model.commented" if version is None else "model_version.commented"
            self.note(connection, kind, name, principal, {"version": version, "comment": number, "text": text.strip()})
        return number

    def comments(self, name: str, version: int | None = None) -> list[Comment]:
        """Comments on a model and its versions, or on one version; oldest first."""
        with self.database.reading() as connection:
            return comments.listed(connection, name, version)

    def uncomment(self, name: str, number: int, *, principal: str, any_of_them: bool = False) -> None:
        """Take a comment of one's own away, or `any_of_them`. Raises NotFound, NotPermitted."""
        with self.database.writing() as connection:
            found = comments.listed(connection, name, number=number)
            if not found:
                raise NotFound(f"{name} has no comment {number}; `boathouse models comments {name}` lists them")
            if found[0].principal != principal and not any_of_them:
                raise NotPermitted(f"comment {number} is {found[0].principal}'s; taking it away takes MANAGE on {name}")
            comments.remove(connection, number)
            self._audit(connection, principal, "model.uncomment", name, {"comment": number, "by": found[0].principal})

    def discard(self, name: str, *, principal: str) -> None:
        """Remove a throw-away model, whatever its stages. Its files stay until MLflow's garbage collection."""
        with self.database.writing() as connection:
            store.erase(connection, name)
            comments.follow(connection, name, None)
            self._emit(connection, "registered_model.deleted", name, {"principal": principal})
            self._audit(connection, principal, "model.discard", name, {})

    def run_record(self, run_id: str, keys: Sequence[str]) -> dict[str, str]:
        """Tags of an MLflow run, those of `keys` that it has."""
        with self.database.reading() as connection:
            found = {key: tracked.tag_of(connection, run_id, key) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    def run_location(self, run_id: str) -> str | None:
        """Where MLflow says that a run's files lie, as `local_artifacts` takes it."""
        with self.database.reading() as connection:
            return tracked.artifacts_of(connection, run_id)

    def staged(self, name: str, stages: Sequence[str]) -> list[VersionInfo]:
        """The versions of a model in some stages; none of a model that is not there."""
        with self.database.reading() as connection:
            if not store.has_mlflow(connection):
                return []
            return [v for stage in stages for v in store.list_versions(connection, name, stage=stage)]

    def in_use(self, served: Collection[tuple[str, int]], keys: Collection[str]) -> list[InUse]:
        """Versions in Production or Staging, and those `served`, with tags of their runs, for the platform's own use."""
        with self.database.reading() as connection:
            return store.list_in_use(connection, served, keys) if store.has_mlflow(connection) else []

    def note(self, connection: sa.Connection, kind: str, name: str, principal: str, details: dict[str, Any]) -> None:
        """Tell of a change that MLflow's own code made in this transaction: one event, one audit entry."""
        self._emit(connection, kind, name, {**details, "principal": principal})
        self._audit(connection, principal, kind, name, details)

    def delete(self, name: str, version: int | None = None, *, principal: str, force: bool = False) -> None:
        """Delete a version, or a model with all of them; files stay until MLflow's garbage collection.

        Raises NotFound; Conflict for what is Production, and unless forced for what an endpoint or a monitor uses.
        """
        with self.database.writing() as connection:
            if version is not None:
                locked(connection, name, version)
            elif not store.has_mlflow(connection) or not store.lock(connection, name):
                raise no_model(name)
            forced = self.refuse_in_use(connection, name, version, "delete", force=force)
            details: dict[str, Any] = {"used_by": forced} if forced else {}
            if version is None:
                store.erase(connection, name)
                comments.follow(connection, name, None)
                self.note(connection, "registered_model.deleted", name, principal, details)
                return
            named = store.aliases_of(connection, name)
            for alias in [alias for alias, number in named.items() if number == version]:
                point(connection, self._emit, name, alias, None, named, by=principal)
            store.redact(connection, name, version)
            self.note(connection, "model_version.deleted", name, principal, {"version": version, **details})

    def refuse_in_use(
        self, connection: sa.Connection, name: str, version: int | None, verb: str, *, force: bool = False
    ) -> list[str]:  # fmt: skip
        """Raise Conflict if the version, or any of the model's, is Production, or if somebody uses it and nobody forces it.

        Who uses it is given back.
        """
        what = f"{name} version {version}" if version is not None else name
        for found in store.list_versions(connection, name, version, PRODUCTION, bare=True):
            raise Conflict(
                f"cannot {verb} {what}: version {found.version} is in Production; promote another version "
                f"or archive it first (`boathouse models rollback {name}`)"
            )
        used = sorted(self.users(name, version))
        if used and not force:
            raise Conflict(f"cannot {verb} {what}: it is used by {', '.join(used)}; move them off it first, or delete it "
                           "with `boathouse models delete --force`")  # fmt: skip
        return used

    def _move(self, connection: sa.Connection, found: VersionInfo, stage: str, step: Move) -> None:
        before = next(iter(store.list_versions(connection, found.model, stage=PRODUCTION, bare=True)), None)
        if move(connection, self._emit, found, stage, step, before):
            details = {
                "version": found.version, "from_stage": found.stage, "to_stage": stage, "reason": step.reason,
                "former_production": before.version if before else None, "evidence": step.evidence,
            }  # fmt: skip
            self._audit(connection, step.principal, f"model.{step.action}", found.model, details)

    def _expect(self, connection: sa.Connection, name: str, expected: int | _Unset | None) -> None:
        if isinstance(expected, _Unset):
            return
        found = store.list_versions(connection, name, stage=PRODUCTION, bare=True)
        actual = found[0].version if found else None
        if actual != expected:
            raise Conflict(
                f"version {actual or 'none'} of {name} is in Production, not {expected or 'none'}; "
                f"look again with `boathouse models show {name}`"
            )
