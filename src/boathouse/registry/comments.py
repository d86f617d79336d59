"""What people say about models and versions: their own words, in order, with name and time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import metadata
from boathouse.errors import InvalidInput
from boathouse.registry.store import instant

LONGEST = 10_000

comments = sa.Table(
    "bh_model_comments", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("model", sa.String(256), nullable=False),
    sa.Column("version", sa.Integer),
    sa.Column("principal", sa.String(256), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Index("bh_model_comments_model", "model", "id"),
)  # fmt: skip


@dataclass(frozen=True)
class Comment:
    """A comment on a model, or on one version of it."""

    id: int
    model: str
    version: int | None
    principal: str
    at: datetime
    text: str


def add(connection: sa.Connection, model: str, version: int | None, principal: str, text: str) -> int:
    """Append a comment; its id. Raises InvalidInput for nothing and for too much."""
    if not text.strip() or len(text) > LONGEST:
        raise InvalidInput(f"a comment has 1 to {LONGEST} characters, not {len(text.strip())}")
    row = {"model": model, "version": version, "principal": principal, "at": clock.millis(), "text": text.strip()}
    return int(connection.execute(comments.insert().values(**row).returning(comments.c.id)).scalar_one())


def listed(connection: sa.Connection, model: str, version: int | None = None, number: int | None = None) -> list[Comment]:
    """Comments on a model and all its versions, on one version, or one by its id; oldest first."""
    which = [comments.c.model == model]
    which += [comments.c.version == version] if version is not None else []
    which += [comments.c.id == number] if number is not None else []
    rows: Any = connection.execute(sa.select(comments).where(*which).order_by(comments.c.id)).mappings()
    return [Comment(**{**row, "at": instant(row["at"])}) for row in rows]


def remove(connection: sa.Connection, number: int) -> None:
    """Take a comment away."""
    connection.execute(comments.delete().where(comments.c.id == number))


def follow(connection: sa.Connection, model: str, new_name: str | None) -> None:
    """Let comments follow a renamed model, or go with one that is deleted."""
    which = comments.c.model == model
    changed = comments.delete().where(which) if new_name is None else comments.update().where(which).values(model=new_name)
    connection.execute(changed)
