"""What a page tells of its models and versions besides their own rows: newest versions, tags, aliases.

Each is one statement whose text never changes, however many names there are: what a page costs is mostly the making of
statements.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from boathouse.registry.store import DELETED, WORKSPACE, aliases, model_tags, version_tags, versions
from boathouse.registry.values import STAGES

Row = sa.RowMapping

_NAMES = {"sqlite": "json_each(:names) j", "postgresql": "json_array_elements_text(CAST(:names AS json)) AS j(value)"}
_STAGES = {"sqlite": "json_each(:stages) s", "postgresql": "json_array_elements_text(CAST(:stages AS json)) AS s(value)"}
_PAIRS = {
    "sqlite": "(SELECT json_extract(value, '$[0]') AS name, json_extract(value, '$[1]') AS version FROM json_each(:which)) p",
    "postgresql": "(SELECT value ->> 0 AS name, CAST(value ->> 1 AS int) AS version "
    "FROM json_array_elements(CAST(:which AS json))) p",
}
_THEN = {"sqlite": "CROSS JOIN", "postgresql": "JOIN"}
"""SQLite takes tables in the order of a CROSS JOIN, which here is the one in which indexes are entered."""
_BYTES = {"sqlite": "", "postgresql": ' COLLATE "C"'}


def _same(left: str, right: str, dialect: str, *, by_bytes: bool = True) -> str:
    """Compared by the collation of the index that is to be entered: see `indexes`."""
    collation = _BYTES[dialect] if by_bytes else ""
    return f"{left}{collation} = {right}{collation}"


def _newest(dialect: str) -> str:
    top = (f"SELECT max(x.version) FROM {versions.name} x WHERE x.workspace = '{WORKSPACE}' AND x.name = j.value "
           "AND x.current_stage = s.value")  # fmt: skip
    return (f"SELECT v.* FROM {_NAMES[dialect]} CROSS JOIN {_STAGES[dialect]} {_THEN[dialect]} {versions.name} v "
            f"ON v.workspace = '{WORKSPACE}' AND {_same('v.name', 'j.value', dialect)} AND v.version = ({top})")  # fmt: skip


def _of_models(table: sa.Table, dialect: str) -> str:
    return (f"SELECT t.* FROM {_NAMES[dialect]} {_THEN[dialect]} {table.name} t "
            f"ON t.workspace = '{WORKSPACE}' AND {_same('t.name', 'j.value', dialect)}")  # fmt: skip


def _of_versions(table: sa.Table, dialect: str) -> str:
    same = _same("t.name", "p.name", dialect, by_bytes=table is versions)
    return (f"SELECT t.* FROM {_PAIRS[dialect]} {_THEN[dialect]} {table.name} t "
            f"ON t.workspace = '{WORKSPACE}' AND {same} AND t.version = p.version")  # fmt: skip


_STATEMENTS = {
    (what, dialect): sa.text(made)
    for dialect in _NAMES
    for what, made in {
        "newest": _newest(dialect), "tags": _of_models(model_tags, dialect),
        "aliases": f"{_of_models(aliases, dialect)} ORDER BY t.alias",
        "versions": _of_versions(versions, dialect), "version tags": _of_versions(version_tags, dialect),
    }.items()
}  # fmt: skip


def _asked(connection: sa.Connection, what: str, **parameters: Any) -> Sequence[Row]:
    told = {name: json.dumps(list(value)) for name, value in parameters.items()}
    return connection.execute(_STATEMENTS[what, connection.dialect.name], told).mappings().all()


def newest(connection: sa.Connection, names: Collection[str], stages: Iterable[str] = STAGES) -> Sequence[Row]:
    """The newest version of each model in each stage, one look at an index for each."""
    return _asked(connection, "newest", names=names, stages=stages) if names else []


def rows_of(connection: sa.Connection, which: Collection[tuple[str, int]]) -> Sequence[Row]:
    """The rows of versions by name and number; those deleted are left out."""
    return [row for row in _asked(connection, "versions", which=which) if row["current_stage"] != DELETED]


def tags_of_models(connection: sa.Connection, names: Collection[str]) -> dict[str, dict[str, str]]:
    """Tags by model."""
    found: dict[str, dict[str, str]] = {}
    for row in _asked(connection, "tags", names=names):
        found.setdefault(row["name"], {})[row["key"]] = row["value"]
    return found


def aliases_of_models(connection: sa.Connection, names: Collection[str]) -> dict[str, dict[str, int]]:
    """Aliases by model."""
    found: dict[str, dict[str, int]] = {}
    for row in _asked(connection, "aliases", names=names):
        found.setdefault(row["name"], {})[row["alias"]] = row["version"]
    return found


def tags_of_versions(connection: sa.Connection, which: Collection[tuple[str, int]]) -> dict[tuple[str, int], dict[str, str]]:
    """Tags by version."""
    found: dict[tuple[str, int], dict[str, str]] = {}
    for row in _asked(connection, "version tags", which=which) if which else ():
        found.setdefault((row["name"], row["version"]), {})[row["key"]] = row["value"]
    return found
