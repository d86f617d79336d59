"""The words of a statement as they were written, so that a query inside it is run letter by letter."""

from itertools import pairwise

import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

from boathouse.errors import InvalidInput

_LONGEST = 200_000
_OPEN = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE}
_CLOSE = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE}


class Words:
    """One statement's text, tokens and first word. Raises InvalidInput for what cannot be read."""

    def __init__(self, text: str) -> None:
        self.text = text.strip().rstrip(";").strip()
        if len(self.text) > _LONGEST:
            raise InvalidInput(f"the SQL is {len(self.text):,} characters long; at most {_LONGEST:,} are read")
        self.tokens = _tokens(self.text)
        if len(self.tokens) == 2 and self.tokens[0].token_type == TokenType.COMMAND:  # SQLGlot leaves the rest in one piece
            self.tokens = [self.tokens[0], *_tokens(self.text[self.tokens[0].end + 1 :])]

    @property
    def kind(self) -> str:
        """The first word, in capitals."""
        return self.tokens[0].text.upper() if self.tokens else ""

    def tree(self) -> exp.Expression:
        """The statement as SQLGlot reads it."""
        try:
            found = [s for s in sqlglot.parse(self.text, dialect="duckdb") if s is not None]
        except SqlglotError as error:
            raise unreadable(error) from error
        except RecursionError as error:
            raise InvalidInput("the SQL is nested too deeply to be read") from error
        if len(found) != 1:
            raise InvalidInput(f"one statement at a time: these are {len(found)}")
        if isinstance(found[0], exp.Command):
            raise InvalidInput(f"this {self.kind} cannot be read; see docs/how-to/tables-and-sql.md for what is known")
        return found[0]

    def without_timeseries(self) -> tuple["Words", str | None]:
        """The statement without TIMESERIES in its PRIMARY KEY (…), which the engine does not know, and the column before it."""
        inside, marked = False, list[tuple[str, Token]]()
        for before, token in pairwise(self.tokens):
            inside = token.token_type != TokenType.R_PAREN and (inside or before.token_type == TokenType.PRIMARY_KEY)
            word = token.text.upper() == "TIMESERIES" and before.token_type not in (TokenType.L_PAREN, TokenType.COMMA)
            if inside and word:
                marked.append((before.text, token))
        if not marked:
            return self, None
        if len(marked) > 1:
            raise InvalidInput(f"a table has one event time, not {' and '.join(name for name, _ in marked)}")
        [(name, mark)] = marked
        return Words(self.text[: mark.start] + self.text[mark.end + 1 :]), name

    def allow(self, tree: exp.Expression, *parts: str) -> None:
        """Raises InvalidInput when a part of the statement has other parts than these: none is left out in silence."""
        for part, given in tree.args.items():
            if given and part not in parts:
                instead = "; MERGE INTO does that" if part in ("from_", "using", "alternative", "conflict") else ""
                raise InvalidInput(f"{self.kind} with {part.rstrip('_').upper()} is not known here{instead}")

    def name(self, start: int) -> tuple[str, ...]:
        """The dotted name that begins at a token."""
        return self.name_and_rest(start)[0]

    def name_and_rest(self, start: int) -> tuple[tuple[str, ...], list[Token]]:
        """A dotted name and the tokens after it."""
        at = start + 1 if len(self.tokens) > start and self.tokens[start].text.upper() == "TABLE" else start
        levels: list[str] = []
        while at < len(self.tokens):
            levels.append(self.tokens[at].text)
            at += 1
            if at >= len(self.tokens) or self.tokens[at].token_type != TokenType.DOT:
                break
            at += 1
        if not levels:
            raise InvalidInput(f"{self.kind} needs the name of a table")
        return tuple(levels), self.tokens[at:]

    def after_as(self) -> str:
        """The query after the first AS outside of parentheses."""
        depth = 0
        for token in self.tokens:
            depth += (token.token_type in _OPEN) - (token.token_type in _CLOSE)
            if depth == 0 and token.text.upper() == "AS" and token.token_type == TokenType.ALIAS:
                return self.text[token.end + 1 :].strip()
        raise InvalidInput(f"{self.kind} needs AS and a query")

    def after_insert(self) -> str:
        """The query of INSERT INTO name [(columns)] [BY NAME]."""
        rest = self.name_and_rest(2)[1]
        if rest and rest[0].token_type == TokenType.L_PAREN and not _begins_query(rest[1:2]):
            rest = _after_parenthesis(rest)
        if [t.text.upper() for t in rest[:2]] in (["BY", "NAME"], ["BY", "POSITION"]):
            rest = rest[2:]
        if not rest:
            raise InvalidInput("INSERT takes VALUES or a query")
        return self.text[rest[0].start :]

    def between_using_and_on(self) -> str:
        """The source of MERGE as it is written, with its alias."""
        depth, start = 0, None
        for token in self.tokens:
            depth += (token.token_type in _OPEN) - (token.token_type in _CLOSE)
            if depth == 0 and start is None and token.token_type == TokenType.USING:
                start = token.end + 1
            elif depth == 0 and start is not None and token.token_type == TokenType.ON:
                return self.text[start : token.start].strip()
        raise InvalidInput("MERGE needs USING and ON")


def _tokens(text: str) -> list[Token]:
    try:
        found: list[Token] = DuckDB().tokenize(text)
    except SqlglotError as error:
        raise unreadable(error) from error
    return found


def _begins_query(tokens: list[Token]) -> bool:
    return bool(tokens) and tokens[0].text.upper() in ("SELECT", "WITH", "FROM", "VALUES", "TABLE", "(")


def _after_parenthesis(tokens: list[Token]) -> list[Token]:
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token.token_type in _OPEN) - (token.token_type in _CLOSE)
        if depth == 0:
            return tokens[index + 1 :]
    return []


def unreadable(error: Exception) -> InvalidInput:
    """What SQLGlot says of a text, of which its tokenizer tells the cause apart."""
    return InvalidInput(f"the SQL cannot be read: {str(error.__cause__ or error).splitlines()[0]}")
