"""What is told of models and versions besides their own rows: newest versions, tags, aliases.

Each is one statement whose text never changes, however many names there are: what a page costs is mostly the making of
statements, and on PostgreSQL the way to the server. Names go there as arrays, whose lengths its planner knows.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from boathouse.registry.store import DELETED, WORKSPACE, aliases, model_tags, version_tags, versions
from boathouse.registry.values import STAGES

Row = Mapping[Any, Any]

_NAMES = {"sqlite": "json_each(:names) j", "postgresql": "unnest(CAST(:names AS text[])) AS j(value)"}
_STAGES = {"sqlite": "json_each(:stages) s", "postgresql": "unnest(CAST(:stages AS text[])) AS s(value)"}
_PAIRS = {
    "sqlite": "(SELECT json_extract(value, '$[0]') AS name, json_extract(value, '$[1]') AS version FROM json_each(:pairs)) p",
    "postgresql": "unnest(CAST(:names AS text[]), CAST(:numbers AS int[])) AS p(name, version)",
}
_THEN = {"sqlite": "CROSS JOIN", "postgresql": "JOIN"}
"""SQLite takes tables in the order of a CROSS JOIN, which here is the one in which indexes are entered."""
_BYTES = {"sqlite": "", "postgresql": ' COLLATE "C"'}
"""Names are compared by the collation of the index that is to be entered: see `indexes`."""
_OBJECT = {"sqlite": "json_group_object", "postgresql": "json_object_agg"}
_ARRAY = {"sqlite": "json_group_array", "postgresql": "json_agg"}


def _told(dialect: str) -> str:
    """The columns of a version `v`, with its tags as an object and its aliases as an array."""
    tags = (f"SELECT {_OBJECT[dialect]}(t.key, t.value) FROM {version_tags.name} t "
            "WHERE t.workspace = v.workspace AND t.name = v.name AND t.version = v.version")  # fmt: skip
    named = (f"SELECT {_ARRAY[dialect]}(a.alias) FROM {aliases.name} a WHERE a.workspace = v.workspace "
             f"AND a.name{_BYTES[dialect]} = v.name AND a.version = v.version")  # fmt: skip
    return f"v.*, ({tags}) AS tags, ({named}) AS aliases"


def _newest(dialect: str) -> str:
    which = f"x.workspace = '{WORKSPACE}' AND x.name = j.value AND x.current_stage = s.value"
    if dialect == "postgresql":
        top = f"SELECT * FROM {versions.name} x WHERE {which} ORDER BY x.version DESC LIMIT 1"
        return f"SELECT {_told(dialect)} FROM {_NAMES[dialect]} CROSS JOIN {_STAGES[dialect]} CROSS JOIN LATERAL ({top}) v"
    top = f"SELECT max(x.version) FROM {versions.name} x WHERE {which}"
    return (f"SELECT {_told(dialect)} FROM {_NAMES[dialect]} CROSS JOIN {_STAGES[dialect]} CROSS JOIN {versions.name} v "
            f"ON v.workspace = '{WORKSPACE}' AND v.name = j.value AND v.version = ({top})")  # fmt: skip


def _labels(dialect: str) -> str:
    def of(table: sa.Table, columns: str) -> str:
        return (f"SELECT t.name, {columns} FROM {_NAMES[dialect]} {_THEN[dialect]} {table.name} t "
                f"ON t.workspace = '{WORKSPACE}' AND t.name{_BYTES[dialect]} = j.value")  # fmt: skip

    named = of(aliases, "t.alias AS label, NULL AS value, t.version")
    return f"{of(model_tags, 't.key AS label, t.value, NULL AS version')} UNION ALL {named} ORDER BY 2"


def _version_tags(dialect: str) -> str:
    return (f"SELECT t.* FROM {_PAIRS[dialect]} {_THEN[dialect]} {version_tags.name} t "
            f"ON t.workspace = '{WORKSPACE}' AND t.name = p.name AND t.version = p.version")  # fmt: skip


def _version(dialect: str) -> str:
    return (f"SELECT {_told(dialect)} FROM {versions.name} v WHERE v.workspace = '{WORKSPACE}' "
            f"AND v.name = :name AND v.version = :version AND v.current_stage <> '{DELETED}'")  # fmt: skip


_MADE = {"newest": _newest, "labels": _labels, "version": _version, "version tags": _version_tags}
_STATEMENTS = {(what, dialect): sa.text(made(dialect)) for what, made in _MADE.items() for dialect in _NAMES}


def _asked(connection: sa.Connection, what: str, **parameters: Any) -> list[dict[str, Any]]:
    if connection.dialect.name == "sqlite":
        parameters = {name: json.dumps(v) if isinstance(v, list) else v for name, v in parameters.items()}
    found = connection.execute(_STATEMENTS[what, connection.dialect.name], parameters)
    names = tuple(found.keys())
    return [dict(zip(names, row, strict=True)) for row in found.all()]


def _versions(rows: list[dict[str, Any]]) -> Sequence[Row]:
    """Rows with their tags and aliases as values: PostgreSQL's driver reads JSON, SQLite's does not."""
    for row in rows:
        tags, named = (json.loads(v) if isinstance(v, str) else v for v in (row["tags"], row["aliases"]))
        row["tags"], row["aliases"] = tags or {}, sorted(named or ())
    return rows


def newest(connection: sa.Connection, names: Collection[str], stages: Iterable[str] = STAGES) -> Sequence[Row]:
    """The newest version of each model in each stage, one look at an index for each, with `tags` and `aliases`."""
    return _versions(_asked(connection, "newest", names=list(names), stages=list(stages))) if names else []


def version_row(connection: sa.Connection, name: str, version: int) -> Row | None:
    """One version with its `tags` and `aliases`; None for one that was deleted."""
    return next(iter(_versions(_asked(connection, "version", name=name, version=version))), None)


@dataclass
class Labels:
    """A model's tags, and its aliases with their versions."""

    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)


def labels_of(connection: sa.Connection, names: Collection[str]) -> dict[str, Labels]:
    """Tags and aliases of each model."""
    found = {name: Labels() for name in names}
    for row in _asked(connection, "labels", names=list(names)) if names else ():
        if row["version"] is None:
            found[row["name"]].tags[row["label"]] = row["value"]
        else:
            found[row["name"]].aliases[row["label"]] = row["version"]
    return found


def with_tags(connection: sa.Connection, rows: Sequence[Row]) -> Sequence[Row]:
    """A page's rows of versions with their `tags`."""
    found: dict[tuple[str, int], dict[str, str]] = {}
    pairs = [(row["name"], row["version"]) for row in rows]
    if not pairs:
        return []
    parts = {"pairs": pairs} if connection.dialect.name == "sqlite" else {
        "names": [name for name, _ in pairs], "numbers": [number for _, number in pairs]}  # fmt: skip
    for tag in _asked(connection, "version tags", **parts):
        found.setdefault((tag["name"], tag["version"]), {})[tag["key"]] = tag["value"]
    return [dict(row, tags=found.get(pair, {})) for row, pair in zip(rows, pairs, strict=True)]
