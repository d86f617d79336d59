"""Searches over models and versions: each page starts where the last one ended, found by an index, whatever its number."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from boathouse.errors import InvalidInput
from boathouse.registry.store import (
    DELETED,
    START,
    WORKSPACE,
    by_bytes,
    model_tags,
    models,
    tagged,
    version_tags,
    versions,
)

PROMPT = "mlflow.prompt.is_prompt"
Row = sa.RowMapping
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Condition:
    """`column comparator value`, or of a tag; comparators as MLflow writes them."""

    column: str
    comparator: str
    value: Any
    is_tag: bool = False


@dataclass(frozen=True)
class By:
    """One column of an order."""

    column: str
    ascending: bool = True


MODELS_ORDER = (By("name"),)
VERSIONS_ORDER = (By("last_updated_time", False), By("name"), By("version", False))


def find_models(
    connection: sa.Connection, conditions: Sequence[Condition], order: Sequence[By], after: Key | None, limit: int,
    prompts: bool = False,
) -> Sequence[Row]:  # fmt: skip
    """Rows of models that meet all conditions, those after a key of the order; prompts are left out unless asked for."""
    query = sa.select(models).where(models.c.workspace == WORKSPACE)
    for condition in (c for c in conditions if not c.is_tag):
        query = query.where(_compared(connection, _column(models, condition), condition))
        if condition.column == "name" and condition.comparator in ("LIKE", "ILIKE"):
            query = query.where(*_one_of(_holding(connection, max(_WILD.split(condition.value), key=len), "name")))
    for condition in (c for c in conditions if c.is_tag):
        same = [model_tags.c[c] == models.c[c] for c in ("workspace", "name")]
        if condition.comparator == "=":  # by value, for the index; the others look at each model's tag
            which = [model_tags.c.workspace == WORKSPACE, *_tag_is(model_tags, condition)]
            query = query.where(by_bytes(connection, models.c.name).in_(
                sa.select(by_bytes(connection, model_tags.c.name)).where(*which)))  # fmt: skip
        else:
            query = query.where(_has_tag(connection, model_tags, same, condition))
    if not prompts:
        same = [model_tags.c[c] == models.c[c] for c in ("workspace", "name")]
        query = query.where(~_has_tag(connection, model_tags, same, Condition(PROMPT, "=", "true", True)))
    return _page(connection, query, [(models.c[by.column], by) for by in order], after, limit)


def find_versions(
    connection: sa.Connection, conditions: Sequence[Condition], order: Sequence[By], after: Key | None, limit: int,
    prompts: bool = False,
) -> Sequence[Row]:  # fmt: skip
    """Rows of versions that meet all conditions, as `find_models`."""
    query = sa.select(versions).where(versions.c.workspace == WORKSPACE, versions.c.current_stage != DELETED)
    columns: dict[str, Any] = dict(versions.c)
    first = next((c for c in conditions if c.is_tag and c.comparator == "="), None)
    if first:  # the projection holds these in the usual order
        columns |= {"name": tagged.c.model, "version": tagged.c.version, "last_updated_time": tagged.c.updated}
        same_name = by_bytes(connection, versions.c.name) == by_bytes(connection, tagged.c.model)
        joined = (same_name, versions.c.version == tagged.c.version)
        query = query.join_from(tagged, versions, sa.and_(*joined))
        query = query.where(tagged.c.key == first.column, tagged.c.start == first.value[:START])
    elif any(c.column == "run_id" and c.comparator == "=" for c in conditions):
        columns["last_updated_time"] = versions.c.last_updated_time + 0  # a run has few: they are sorted, no order is walked
    same = [version_tags.c[c] == versions.c[c] for c in ("workspace", "name", "version")]
    for condition in conditions:
        if not condition.is_tag:
            query = query.where(_compared(connection, columns.get(condition.column, _column(versions, condition)), condition))
        elif condition is not first or len(condition.value) >= START:
            query = query.where(_has_tag(connection, version_tags, same, condition))
    named = [c for c in conditions if c.column == "name" and c.comparator == "=" and not c.is_tag]
    if not prompts:  # asked once of one name: the planner misjudges how many versions pass it
        whose = [version_tags.c.workspace == WORKSPACE, version_tags.c.name == named[0].value] if named else same[:2]
        query = query.where(~_has_tag(connection, version_tags, whose, Condition(PROMPT, "=", "true", True)))
    if named and len(order) > 1:
        kept = [i for i, by in enumerate(order) if by.column != "name"]  # one name has no order: the index is walked as it lies
        if after is not None and len(after) == len(order):
            after = tuple(after[i] for i in kept)
        order = [order[i] for i in kept]
    return _page(connection, query, [(columns[by.column], by) for by in order], after, limit)


def said(connection: sa.Connection, part: str | None, tags: Sequence[tuple[str, str | None]]) -> list[sa.ColumnElement[bool]]:
    """Conditions on models: a part of the name or the description, in any case, and tags with a value or with any."""
    which: list[sa.ColumnElement[bool]] = []
    if part:
        like = f"%{escaped(part)}%"
        which += _one_of(_holding(connection, part))
        which.append(sa.or_(models.c.name.ilike(like, escape="\\"), models.c.description.ilike(like, escape="\\")))
    same = [model_tags.c[c] == models.c[c] for c in ("workspace", "name")]
    for key, value in tags:
        if value is None:
            which.append(sa.exists().where(*same, model_tags.c.key == key))
            continue
        tag = [model_tags.c.workspace == WORKSPACE, *_tag_is(model_tags, Condition(key, "=", value, True))]
        which.append(by_bytes(connection, models.c.name).in_(sa.select(by_bytes(connection, model_tags.c.name)).where(*tag)))
    return which


_FEW = 500
"""Up to so many names are looked up one by one; a part that more of them hold is soon met in their order."""
_WILD = re.compile(r"[%_\\\\]")


def _holding(connection: sa.Connection, part: str, column: str | None = None) -> list[str] | None:
    """Names of the few models that hold a part in their name, or in name or description; None where that is not known."""
    if connection.dialect.name != "sqlite" or len(part) < 3 or "\0" in part:  # PostgreSQL's planner does this by itself
        return None
    if connection.execute(sa.text("SELECT 1 FROM sqlite_master WHERE name = 'bh_model_names'")).first() is None:
        return None
    wanted = '"' + part.replace('"', '""') + '"'
    query = sa.text("SELECT name FROM bh_model_names WHERE bh_model_names MATCH :wanted LIMIT :most")
    asked = {"wanted": f"{column} : {wanted}" if column else wanted, "most": _FEW + 1}
    found = list(connection.execute(query, asked).scalars())
    return found if len(found) <= _FEW else None


def _one_of(names: Sequence[str] | None) -> list[sa.ColumnElement[bool]]:
    if names is None:
        return []
    each = sa.func.json_each(json.dumps(names)).table_valued("value")
    return [models.c.name.in_(sa.select(each.c.value))]


def escaped(part: str) -> str:
    """Text as LIKE takes it literally, with a backslash before its signs."""
    return part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _page(
    connection: sa.Connection, query: sa.Select[Any], order: Sequence[tuple[Any, By]], after: Key | None, limit: int
) -> Sequence[Row]:
    columns = [(by_bytes(connection, column) if by.column == "name" else column, by) for column, by in order]
    if after is not None:
        if len(after) != len(order):
            raise InvalidInput("the page token belongs to a search with another order; begin with the first page")
        query = query.where(_later(columns, after))
    query = query.order_by(*(column.asc() if by.ascending else column.desc() for column, by in columns))
    return connection.execute(query.limit(limit)).mappings().all()


def _later(columns: Sequence[tuple[Any, By]], after: Key) -> sa.ColumnElement[bool]:
    """Rows after a key. The first bound is spoken out beside the others, so that an index is entered at it."""
    column, by = columns[0]
    bound = column >= after[0] if by.ascending else column <= after[0]
    beyond = [
        sa.and_(*(c == v for (c, _), v in zip(columns[:i], after[:i], strict=True)), c > v if b.ascending else c < v)
        for i, ((c, b), v) in enumerate(zip(columns, after, strict=True))
    ]
    return sa.and_(bound, sa.or_(*beyond))


def _column(table: sa.Table, condition: Condition) -> Any:
    if condition.column not in table.c:
        raise InvalidInput(f"{condition.column!r} is nothing to search by")
    return table.c[condition.column]


def _compared(connection: sa.Connection, column: Any, condition: Condition) -> sa.ColumnElement[bool]:
    value, comparator = condition.value, condition.comparator
    if comparator in ("LIKE", "ILIKE"):
        found: sa.ColumnElement[bool] = column.like(value) if comparator == "LIKE" else column.ilike(value)
        start = value[: min((value.find(c) for c in "%_\\" if c in value), default=len(value))]
        if comparator == "LIKE" and start and connection.dialect.name != "sqlite":  # whose LIKE knows no case
            key = by_bytes(connection, column)
            return sa.and_(found, key >= start, key <= start + "\U0010ffff")
        return found
    compare = {
        "=": column.__eq__, "!=": column.__ne__, "<": column.__lt__, "<=": column.__le__, ">": column.__gt__,
        ">=": column.__ge__, "IN": column.in_, "NOT IN": column.not_in,
    }.get(comparator)  # fmt: skip
    if compare is None:
        raise InvalidInput(f"{comparator!r} is no comparison of {condition.column}")
    compared: sa.ColumnElement[bool] = compare(value)
    return compared


def _tag_is(table: sa.Table, condition: Condition) -> list[sa.ColumnElement[bool]]:
    first, last = (sa.literal_column(number, sa.Integer) for number in ("1", str(START)))  # as the index says it
    start = sa.func.substr(table.c.value, first, last) == condition.value[:START]
    whole = [table.c.value == condition.value] if len(condition.value) >= START else []  # SQLite would forget the index
    return [table.c.key == condition.column, start, *whole]


def _has_tag(connection: sa.Connection, table: sa.Table, same: Iterable[Any], condition: Condition) -> sa.ColumnElement[bool]:
    return sa.exists().where(*same, table.c.key == condition.column, _compared(connection, table.c.value, condition))
