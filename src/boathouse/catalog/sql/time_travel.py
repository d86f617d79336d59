"""Time travel in SQL: `t VERSION AS OF 3`, `t TIMESTAMP AS OF '…'` and `t@v3`, as names that DuckDB can read.

A clause becomes part of its table's name, `"t@v3"` or `"t@2024-05-01"`, so that one query may read many versions.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

from boathouse import clock
from boathouse.catalog.sql.statement_text import unreadable
from boathouse.errors import InvalidInput

_LIKELY = re.compile(r"\bas\s+of\b|@\s*v\d", re.IGNORECASE)
_MARK = re.compile(r"v\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Moment:
    """Which snapshot of a table is meant: the newest, where neither is given."""

    version: int | None = None
    timestamp: datetime | None = None


def rewritten(query: str) -> str:
    """The query with its time travel inside quoted names. Raises InvalidInput for a version that is no literal."""
    if not _LIKELY.search(query):
        return query
    from sqlglot.dialects.duckdb import DuckDB

    try:
        tokens = DuckDB().tokenize(query)
    except SqlglotError as error:
        raise unreadable(error) from error
    made, done = [], 0
    for index, token in enumerate(tokens):
        if index and tokens[index - 1].token_type == TokenType.DOT and token.start >= done:
            mark, end = _mark_after(tokens, index)
            if mark:
                quoted = f"{token.text}@{mark}".replace('"', '""')
                made += [query[done : token.start], f'"{quoted}"']
                done = end + 1
    return "".join([*made, query[done:]])


def moment(level: str) -> tuple[str, Moment]:
    """A table's name and the snapshot that its mark asks for. Raises InvalidInput."""
    name, at, mark = level.partition("@")
    if not at:
        return level, Moment()
    if _MARK.fullmatch(mark):
        return name, Moment(version=int(mark[1:]))
    try:
        return name, Moment(timestamp=clock.parse_instant(mark))
    except ValueError as error:
        raise InvalidInput(f"{name}: {mark!r} is no time; write for example TIMESTAMP AS OF '2024-05-01 12:00:00'") from error


def _mark_after(tokens: list[Token], index: int) -> tuple[str, int]:
    """What follows a name and asks for a snapshot of it, and where that ends; ("", 0) for nothing."""
    words = [t.text.upper() for t in tokens[index + 1 : index + 5]]
    following = tokens[index + 1 : index + 6]
    if words[:1] == ["FOR"]:
        words, following = words[1:], following[1:]
        words += [following[3].text.upper()] if len(following) > 3 else []
    if words[:1] == ["@"] and len(following) > 1 and following[0].start == tokens[index].end + 1 and _MARK.fullmatch(words[1]):
        return words[1].lower(), following[1].end
    if words[1:3] != ["AS", "OF"] or words[0] not in ("VERSION", "TIMESTAMP"):
        return "", 0
    given = following[3] if len(following) > 3 else None
    wanted = TokenType.NUMBER if words[0] == "VERSION" else TokenType.STRING
    if given is None or given.token_type != wanted:
        raise InvalidInput(f"{tokens[index].text}: write VERSION AS OF 3 or TIMESTAMP AS OF '2024-05-01 12:00:00'")
    return (f"v{given.text}" if words[0] == "VERSION" else given.text), given.end
