"""Copies of versions: files of their own, and what they are copies of."""

import hashlib
import re
import shutil
import tempfile
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from boathouse import clock
from boathouse.registry.artifacts import (
    ARTIFACTS_ROOT,
    drop_artifacts,
    fetch_artifacts,
    keep_artifacts,
    local_artifacts,
    local_folder,
)
from boathouse.registry.store import DELETED, WORKSPACE, instant, origins, versions
from boathouse.registry.values import Origin

FOLDER = "copies"
_VERSION = re.compile(r"^models:/(?P<name>[^/@]+)(?:/(?P<number>[^/@]+)|@(?P<alias>[^/@]+))$")
_HALF_MADE = 24 * 3600.0


def named_version(source: str) -> tuple[str, str] | None:
    """(model, version, stage or alias) that `models:/NAME/VERSION` or `models:/NAME@ALIAS` names; None for other sources."""
    found = _VERSION.match(source)
    return (found["name"], found["number"] or found["alias"]) if found else None


@contextmanager
def copied_files(location: str, artifact_root: str, environment: str) -> Iterator[tuple[str, str]]:
    """Copy a version's files to a place of the environment; (the place, their digest). An error takes them away again.

    Raises NotFound when the files are gone.
    """
    own = f"{ARTIFACTS_ROOT}{FOLDER}/{environment}/{uuid.uuid4().hex}"
    place = f"{own}/artifacts"
    target = local_folder(local_artifacts(place, artifact_root))
    with tempfile.TemporaryDirectory(prefix="boathouse-copy-") as scratch:
        whole = target or Path(scratch, "artifacts")
        try:
            fetch_artifacts(location, artifact_root, whole)
            if target is None:
                keep_artifacts(whole, place, artifact_root)
            yield place, digest(whole)
        except BaseException:
            drop_artifacts(own, artifact_root)
            raise


def digest(folder: Path) -> str:
    """SHA-256 over the files of a folder: paths in order, each with the hash of what it holds."""
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            one = hashlib.file_digest(file, "sha256")
        whole.update(f"{path.relative_to(folder).as_posix()}\0{one.hexdigest()}\n".encode())
    return whole.hexdigest()


def put_copy(connection: sa.Connection, name: str, version: int, origin: Origin, place: str) -> None:
    """Write what a version is a copy of, and the place of its files."""
    connection.execute(origins.insert().values(
        model=name, version=version, source_model=origin.model, source_version=origin.version, run_id=origin.run_id,
        source_creator=origin.creator, record=dict(origin.record), digest=origin.digest, principal=origin.principal,
        at=clock.millis(), place=place,
    ))  # fmt: skip


def chain(connection: sa.Connection, name: str, version: int) -> list[Origin]:
    """What a version is a copy of, and that one in turn: the nearest first. Empty for what was trained here."""
    found: list[Origin] = []
    before = clock.millis() + 1
    while True:
        which = (origins.c.model == name, origins.c.version == version, origins.c.at < before)
        row = connection.execute(sa.select(origins).where(*which)).mappings().first()
        if row is None:
            return found
        name, version, before = row["source_model"], row["source_version"], row["at"] + 1
        found.append(Origin(
            name, version, row["run_id"], row["source_creator"], row["record"], row["digest"], row["principal"],
            instant(row["at"]), _there(connection, name, version, row["at"]),
        ))  # fmt: skip
        if len(found) > 100 or not found[-1].there:
            return found


def copies_of(connection: sa.Connection, name: str, version: int | None = None) -> list[tuple[str, int, int]]:
    """(copy, its version, the version it is a copy of), oldest first."""
    query = sa.select(origins.c.model, origins.c.version, origins.c.source_version).where(origins.c.source_model == name)
    if version is not None:
        query = query.where(origins.c.source_version == version)
    return [(row[0], row[1], row[2]) for row in connection.execute(query.order_by(origins.c.at))]


def sweep(artifact_root: str, kept: Collection[str]) -> int:
    """Remove the files of copies in a folder that no version has, a day after they came; how many folders went."""
    gone, root = 0, local_folder(artifact_root)
    for own in () if root is None else Path(root, FOLDER).glob("*/*"):
        old = clock.now().timestamp() - own.stat().st_mtime > _HALF_MADE
        if old and f"{ARTIFACTS_ROOT}{FOLDER}/{own.parent.name}/{own.name}/artifacts" not in kept:
            shutil.rmtree(own, ignore_errors=True)
            gone += 1
    return gone


def places(connection: sa.Connection) -> set[str]:
    """Where the files of all copies lie whose versions are there."""
    alive = sa.exists().where(
        versions.c.workspace == WORKSPACE, versions.c.name == origins.c.model, versions.c.version == origins.c.version,
        versions.c.current_stage != DELETED,
    )  # fmt: skip
    held = sa.exists().where(versions.c.workspace == WORKSPACE, versions.c.storage_location == origins.c.place,
                             versions.c.current_stage != DELETED)  # fmt: skip
    return set(connection.execute(sa.select(origins.c.place).where(sa.or_(alive, held))).scalars())


def _there(connection: sa.Connection, name: str, version: int, at: int) -> bool:
    """Whether the version of that time is there still: a model that was deleted counts from 1 again."""
    query = sa.select(sa.literal(1)).where(
        versions.c.workspace == WORKSPACE, versions.c.name == name, versions.c.version == version,
        versions.c.current_stage != DELETED, versions.c.creation_time <= at,
    )  # fmt: skip
    return connection.execute(query).first() is not None
