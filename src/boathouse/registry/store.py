"""Tables of the room beside MLflow's own, and the statements on both; MLflow is never imported here."""

import functools
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Json, metadata
from boathouse.errors import NotFound
from boathouse.registry.tracked import run_tags
from boathouse.registry.values import NONE, PRODUCTION, STAGING, InUse, ModelInfo, StageChange, Verdict, VersionInfo

WORKSPACE = "default"  # MLflow's one workspace while its workspaces are off
DELETED = "Deleted_Internal"  # MLflow keeps the rows of deleted versions under this stage
_NAME = sa.String(256)

stage_history = sa.Table(
    "bh_model_stage_history", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("model", _NAME, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("from_stage", sa.String(20), nullable=False),
    sa.Column("to_stage", sa.String(20), nullable=False),
    sa.Column("action", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("principal", _NAME, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("evidence", sa.String(512)),
    sa.Index("bh_model_stage_history_model", "model", "id"),
)  # fmt: skip

production = sa.Table(
    "bh_production", metadata,
    sa.Column("model", _NAME, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
)  # fmt: skip

verdicts = sa.Table(
    "bh_verdicts", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("model", _NAME, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("environment", sa.String(255), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("verdict", Json, nullable=False),
    sa.Index("bh_verdicts_version", "model", "version", "id"),
)  # fmt: skip

origins = sa.Table(
    "bh_model_origins", metadata,
    sa.Column("model", _NAME, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("source_model", _NAME, nullable=False),
    sa.Column("source_version", sa.Integer, nullable=False),
    sa.Column("run_id", sa.String(32)),
    sa.Column("source_creator", _NAME, nullable=False),
    sa.Column("record", Json, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("principal", _NAME, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("place", sa.String(512), nullable=False),
    sa.Index("bh_model_origins_source", "source_model", "source_version"),
)  # fmt: skip
"""What a version is a copy of (`copies.py`)."""

START = 64
"""So many characters of a tag's value are indexed: a value may be longer than an index holds."""

tagged = sa.Table(
    "bh_tagged_versions", metadata,
    sa.Column("model", _NAME, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("key", sa.String(250), primary_key=True),
    sa.Column("start", sa.String(START), nullable=False),
    sa.Column("updated", sa.BigInteger),
)  # fmt: skip
"""Tags of versions in the order of searches, newest first; triggers write it (`indexes.py`)."""

# MLflow's tables, as 3.17.2 makes them; only the columns used here, and never created from here.
_mlflow = sa.MetaData()


def _theirs(name: str, *columns: str) -> sa.Table:
    numbers = {"version", "creation_time", "last_updated_time"}
    kinds = [sa.Column(c, sa.BigInteger if c in numbers else sa.Text) for c in ("workspace", *columns)]
    return sa.Table(name, _mlflow, *kinds)


models = _theirs("registered_models", "name", "creation_time", "last_updated_time", "description")
model_tags = _theirs("registered_model_tags", "name", "key", "value")
aliases = _theirs("registered_model_aliases", "name", "alias", "version")
versions = _theirs(
    "model_versions", "name", "version", "creation_time", "last_updated_time", "description", "user_id",
    "current_stage", "source", "storage_location", "run_id", "run_link", "status", "status_message",
)  # fmt: skip
version_tags = _theirs("model_version_tags", "name", "version", "key", "value")

def _is(table: sa.Table, name: Any) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.workspace == WORKSPACE, table.c.name == name


# What each move of a version says, made once: to make a statement takes longer than to carry it out.
_OF_MODEL: sa.BindParameter[str] = sa.bindparam("of_model")
_MOMENT: sa.BindParameter[int] = sa.bindparam("moment")
_LOCK = sa.select(models.c.name).where(*_is(models, _OF_MODEL)).with_for_update()
_TOUCH = models.update().where(*_is(models, _OF_MODEL)).values(last_updated_time=_MOMENT)
_ALIASES = sa.select(aliases.c.alias, aliases.c.version).where(*_is(aliases, _OF_MODEL)).order_by(aliases.c.alias)
_PUT_STAGE = (
    versions.update().where(*_is(versions, _OF_MODEL), versions.c.version == sa.bindparam("of_version"))
    .values(current_stage=sa.bindparam("stage"), last_updated_time=_MOMENT)
)  # fmt: skip

_whole: WeakSet[sa.Engine] = WeakSet()


def has_mlflow(connection: sa.Connection) -> bool:
    """Whether MLflow's tables are here and whole: our index comes after the last of its migrations."""
    if connection.engine in _whole:
        return True
    inspector = sa.inspect(connection)
    found = inspector.has_table("model_versions") and any(
        index["name"] == "bh_one_production" for index in inspector.get_indexes("model_versions")
    )
    if found:
        _whole.add(connection.engine)
    return found


def lock(connection: sa.Connection, name: str) -> bool:
    """Hold the model's row until the transaction ends (in SQLite the whole file); False without a model."""
    return connection.execute(_LOCK, {"of_model": name}).first() is not None


def list_models(
    connection: sa.Connection, environment: str | None = None, name: str | None = None, after: str | None = None,
    limit: int | None = None, which: Iterable[sa.ColumnElement[bool]] = (),
) -> list[ModelInfo]:  # fmt: skip
    """Models by name, prompts left out; `which` are further conditions on them."""
    chosen = list(which)
    which = [models.c.workspace == WORKSPACE, *chosen]
    key = by_bytes(connection, models.c.name)
    if environment:  # the names between `env.` and `env/`, the character after the dot
        which += [key >= f"{environment}.", key < f"{environment}/"]
    if name or after:
        which.append(models.c.name == name if name else key > after)
    newest = (
        sa.select(sa.func.max(versions.c.version))
        .where(versions.c.workspace == WORKSPACE, versions.c.name == models.c.name)
        .where(versions.c.current_stage != DELETED)
        .scalar_subquery()
    )
    prompt = sa.exists().where(
        *(model_tags.c[c] == models.c[c] for c in ("workspace", "name")),
        model_tags.c.key == "mlflow.prompt.is_prompt",
        model_tags.c.value == "true",
    )
    query = (
        sa.select(models, newest.label("newest"), production.c.version.label("production"))
        .outerjoin(production, production.c.model == models.c.name)
        .where(*which, ~prompt)
        .order_by(key)
        .limit(limit)
    )
    rows = connection.execute(query).mappings().all()

    def listed(table: sa.Table) -> list[sa.ColumnElement[bool]]:
        if not rows:
            return [sa.false()]
        key = by_bytes(connection, table.c.name)
        if chosen:  # a page may reach from the first name to the last
            return [table.c.workspace == WORKSPACE, key.in_([r["name"] for r in rows])]
        return [table.c.workspace == WORKSPACE, key >= rows[0]["name"], key <= rows[-1]["name"]]

    named = _grouped(connection, aliases.c.name, aliases.c.alias, aliases.c.version, listed(aliases))
    tagged = _grouped(connection, model_tags.c.name, model_tags.c.key, model_tags.c.value, listed(model_tags))
    return [
        ModelInfo(
            r["name"], r["description"] or "", instant(r["creation_time"]),
            instant(r["last_updated_time"] or r["creation_time"]), r["newest"], r["production"],
            named.get(r["name"], {}), tagged.get(r["name"], {}),
        )
        for r in rows
    ]  # fmt: skip


def list_versions(
    connection: sa.Connection,
    name: str,
    version: int | None = None,
    stage: str | None = None,
    limit: int | None = None,
    before: int | None = None,
    bare: bool = False,
) -> list[VersionInfo]:
    """Versions of a model, newest first; those older than `before`. `bare` leaves out tags and aliases."""
    asked = {"version": version, "stage": stage, "before": before, "limit": limit}
    given = {parameter: value for parameter, value in asked.items() if value is not None}
    rows = connection.execute(_listing(frozenset(given)), {"of_model": name, **given}).mappings().all()
    which = [*_is(version_tags, name)]
    if rows:
        which.append(version_tags.c.version.between(rows[-1]["version"], rows[0]["version"]))
    kept = bool(rows) and not bare
    tagged = _grouped(connection, version_tags.c.version, version_tags.c.key, version_tags.c.value, which) if kept else {}
    named = aliases_of(connection, name) if kept else {}
    return [
        version_info(r, sorted(a for a, v in named.items() if v == r["version"]), tagged.get(r["version"], {}))
        for r in rows
    ]  # fmt: skip


@functools.cache
def _listing(given: frozenset[str]) -> sa.Select[Any]:
    """Versions of a model, by whichever of version, stage, before and limit are given."""
    query = sa.select(versions).where(*_is(versions, _OF_MODEL), versions.c.current_stage != DELETED)
    if "version" in given:
        query = query.where(versions.c.version == sa.bindparam("version"))
    if "stage" in given:
        query = query.where(versions.c.current_stage == sa.bindparam("stage"))
    if "before" in given:
        query = query.where(versions.c.version < sa.bindparam("before"))
    query = query.order_by(versions.c.version.desc())
    return query.limit(sa.bindparam("limit")) if "limit" in given else query


def version_info(row: Mapping[Any, Any], named: Iterable[str], tags: Mapping[str, str]) -> VersionInfo:
    """A version by its row, aliases and tags."""
    return VersionInfo(
        row["name"], row["version"], row["current_stage"], row["status"], row["description"] or "", row["user_id"] or "",
        row["source"] or "", row["storage_location"] or row["source"] or "", row["run_id"] or None,
        instant(row["creation_time"]), instant(row["last_updated_time"] or row["creation_time"]), tuple(named), tags,
    )  # fmt: skip


def existing(connection: sa.Connection, name: str, numbers: Collection[int]) -> set[int]:
    """Those of the versions that are there still."""
    query = sa.select(versions.c.version).where(*_is(versions, name), versions.c.version.in_(numbers))
    return set(connection.execute(query.where(versions.c.current_stage != DELETED)).scalars())


def by_bytes(connection: sa.Connection, column: Any) -> Any:
    """A name as it sorts by its bytes in every database: pages follow it, and an environment is one range."""
    return column if connection.dialect.name == "sqlite" else column.collate("C")


def list_in_use(
    connection: sa.Connection, served: Collection[tuple[str, int]], keys: Collection[str]
) -> list[InUse]:
    """Versions in Production or Staging and those served, by name, with the tags `keys` of their runs."""
    staged = versions.c.current_stage.in_((PRODUCTION, STAGING))
    also = [sa.and_(versions.c.name == name, versions.c.version == version) for name, version in served]
    tagged = sa.and_(run_tags.c.run_uuid == versions.c.run_id, run_tags.c.key.in_(list(keys)))
    query = (
        sa.select(versions.c.name, versions.c.version, versions.c.current_stage, run_tags.c.key, run_tags.c.value)
        .outerjoin_from(versions, run_tags, tagged)
        .where(versions.c.workspace == WORKSPACE, sa.or_(staged, *also), versions.c.current_stage != DELETED)
        .order_by(versions.c.name, versions.c.version)
    )  # fmt: skip
    found: dict[tuple[str, int, str], dict[str, str]] = {}
    for name, version, stage, key, value in connection.execute(query):
        found.setdefault((name, version, stage), {}).update({key: value} if key else {})
    return [InUse(*which, record) for which, record in found.items()]


def aliases_of(connection: sa.Connection, name: str) -> dict[str, int]:
    """Alias -> version."""
    return {row.alias: row.version for row in connection.execute(_ALIASES, {"of_model": name})}


def put_alias(connection: sa.Connection, name: str, alias: str, version: int | None) -> None:
    """Point an alias at a version, or at none."""
    _point(connection, aliases, {"workspace": WORKSPACE, "name": name, "alias": alias}, version)


def put_stage(connection: sa.Connection, name: str, version: int, stage: str) -> None:
    """Write a version's stage."""
    moved = {"of_model": name, "of_version": version, "stage": stage, "moment": clock.millis()}
    connection.execute(_PUT_STAGE, moved)


def touch(connection: sa.Connection, name: str) -> bool:
    """Write that a model was changed now, and so hold its row until the transaction ends; False without a model."""
    return connection.execute(_TOUCH, {"of_model": name, "moment": clock.millis()}).rowcount > 0


def put_production(connection: sa.Connection, name: str, version: int | None) -> None:
    """Point the model at its Production version, or at none."""
    _point(connection, production, {"model": name}, version)


def _point(connection: sa.Connection, table: sa.Table, key: dict[str, str], version: int | None) -> None:
    """Write the version of a key's row, or take the row away; the caller holds the write lock."""
    away, move = _pointing(table, tuple(key))
    asked = {f"of_{column}": value for column, value in key.items()}
    if version is None:
        connection.execute(away, asked)
    elif not connection.execute(move, {**asked, "to": version}).rowcount:
        connection.execute(table.insert(), {**key, "version": version})


@functools.cache
def _pointing(table: sa.Table, key: tuple[str, ...]) -> tuple[sa.Delete, sa.Update]:
    which = [table.c[column] == sa.bindparam(f"of_{column}") for column in key]
    return table.delete().where(*which), table.update().where(*which).values(version=sa.bindparam("to"))


def add_version(connection: sa.Connection, name: str, tags: Mapping[str, str], **row: Any) -> int:
    """Register the next version of a model whose row is held: its number, as MLflow's store counts. Raises NotFound.

    `row` has the columns of a version that are not the same for each new one.
    """
    last = sa.select(sa.func.max(versions.c.version)).where(*_is(versions, name))
    if not touch(connection, name):
        raise NotFound(f"Registered Model with name={name} not found")
    number, moment = int(connection.execute(last).scalar() or 0) + 1, clock.millis()
    key = {"workspace": WORKSPACE, "name": name, "version": number}
    connection.execute(versions.insert().values(
        **key, creation_time=moment, last_updated_time=moment, current_stage=NONE, status="READY", **row))  # fmt: skip
    if tags:
        connection.execute(version_tags.insert(), [{**key, "key": k, "value": v} for k, v in tags.items()])
    return number


def add_change(connection: sa.Connection, **row: Any) -> None:
    """Append to the history."""
    connection.execute(stage_history.insert(), {"at": clock.millis(), **row})


def list_changes(connection: sa.Connection, name: str, to_stage: str | None = None) -> list[StageChange]:
    """A model's history, oldest first, or only its steps to a stage."""
    query = sa.select(stage_history).where(stage_history.c.model == name).order_by(stage_history.c.id)
    if to_stage:
        query = query.where(stage_history.c.to_stage == to_stage)
    return [StageChange(**{**r, "at": instant(r["at"])}) for r in connection.execute(query).mappings()]


def add_verdict(connection: sa.Connection, **row: Any) -> None:
    """Append a verdict."""
    connection.execute(verdicts.insert().values(at=clock.millis(), **row))


def list_verdicts(connection: sa.Connection, name: str, version: int | None) -> list[Verdict]:
    """Verdicts, newest first."""
    query = sa.select(verdicts).where(verdicts.c.model == name).order_by(verdicts.c.id.desc())
    if version is not None:
        query = query.where(verdicts.c.version == version)
    return [Verdict(**{**r, "at": instant(r["at"])}) for r in connection.execute(query).mappings()]


def rename(connection: sa.Connection, name: str, new_name: str) -> None:
    """Let our rows follow a renamed model."""
    for table in (stage_history, production, verdicts, origins):
        connection.execute(table.update().where(table.c.model == name).values(model=new_name))
    connection.execute(origins.update().where(origins.c.source_model == name).values(source_model=new_name))


def forget(connection: sa.Connection, name: str) -> None:
    """Drop our rows of a deleted model; the audit log keeps what happened."""
    for table in (stage_history, production, verdicts, origins):
        connection.execute(table.delete().where(table.c.model == name))


def erase(connection: sa.Connection, name: str) -> None:
    """Drop a model and all its versions from MLflow's tables and ours."""
    for table in (version_tags, aliases, model_tags, versions, models):
        connection.execute(table.delete().where(*_is(table, name)))
    forget(connection, name)


def redact(connection: sa.Connection, name: str, version: int) -> None:
    """Delete a version as MLflow does: its number is never given again, so its row stays, without what it told."""
    told = {"description": None, "user_id": None, "status_message": None, "source": "REDACTED-SOURCE-PATH",
            "run_id": "REDACTED-RUN-ID", "run_link": "REDACTED-RUN-LINK"}  # fmt: skip
    which = (*_is(versions, name), versions.c.version == version)
    connection.execute(versions.update().where(*which).values(current_stage=DELETED, last_updated_time=clock.millis(), **told))
    touch(connection, name)


def _grouped(
    connection: sa.Connection, owner: Any, key: Any, value: Any, which: Iterable[sa.ColumnElement[bool]]
) -> Mapping[Any, dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    for group, name, content in connection.execute(sa.select(owner, key, value).where(*which).order_by(key)):
        found.setdefault(group, {})[name] = content
    return found


def instant(millis: int) -> datetime:
    """Milliseconds since 1970 as UTC."""
    return datetime.fromtimestamp(millis / 1000, UTC)
