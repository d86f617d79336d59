"""Which statement a text is: what tables here can do as values, the rest refused with what to do instead."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlglot import exp
from sqlglot.tokens import TokenType

from boathouse.catalog.function_sql import creates_function
from boathouse.catalog.sql.statement_text import Words
from boathouse.catalog.sql.statements import (
    ColumnSpec,
    CreateFunction,
    CreateSchema,
    CreateTable,
    CreateView,
    Delete,
    Drop,
    Insert,
    Merge,
    Optimize,
    Path,
    Select,
    Statement,
    Update,
    Vacuum,
    When,
)
from boathouse.errors import InvalidInput
from boathouse.lake import quoted, text

_PLAIN = re.compile(r"\s*(SELECT|FROM|VALUES)\b", re.IGNORECASE)
_INSTEAD = {
    "ALTER": "columns come with `table.append(df, evolve=True)`; comments, tags, masks and filters by `boathouse tables`; "
             "PRIMARY KEY stands in CREATE TABLE",
    "GRANT": "grants are given by `boathouse grants add`",
    "REVOKE": "grants are taken by `boathouse grants remove`",
    "COPY": "rows go to files by `boathouse sql --output FILE`, files to tables by `boathouse tables import`",
    "EXPORT": "rows go to files by `boathouse sql --output FILE`",
    "EXPLAIN": "plans would tell of rows and files that a query may not show",
    "COMMENT": "comments are set by `boathouse tables`",
    "RESTORE": "`boathouse tables restore` makes an old version the newest",
    "USE": "write schema.table, or environment.schema.table for another environment's",
    "BEGIN": "each statement is a transaction of its own",
    "COMMIT": "each statement is a transaction of its own",
    "ROLLBACK": "each statement is a transaction of its own",
}


def parse_query(said: str) -> str:
    """A statement that only reads, as a query. Raises InvalidInput for one that would change something."""
    statement = parse_statement(said)
    if not isinstance(statement, Select):
        raise InvalidInput(f"{Words(said).kind} is not done here, where one only reads; `boathouse sql` does it")
    return statement.query


def parse_statement(said: str) -> Statement:
    """A statement and its parts. Raises InvalidInput for what is none, more than one, or not for tables here."""
    if _PLAIN.match(said):
        return Select(said)
    if creates_function(said):  # its body is Python, which no SQL parser reads
        return CreateFunction(said)
    words = Words(said)
    reader = _READERS.get(words.kind)
    if reader is None:
        instead = _INSTEAD.get(words.kind)
        known = "SELECT, INSERT, UPDATE, DELETE, MERGE, CREATE and DROP of tables, views, schemas and functions are"
        raise InvalidInput(f"{words.kind or 'an empty text'} is no statement for users here: {instead or known}")
    return reader(words)


def _select(words: Words) -> Statement:
    return Select(words.text)


def _describe(words: Words) -> Statement:
    asked = words.tokens[1].text.upper() if len(words.tokens) > 2 else ""
    if asked in ("HISTORY", "DETAIL", "EXTENDED", "FORMATTED") and words.tokens[2].text != ".":
        raise InvalidInput("DESCRIBE schema.table tells the columns; `boathouse tables show` tells more, and "
                           "`boathouse tables history` the versions")  # fmt: skip
    return Select(words.text)


def _show(words: Words) -> Statement:
    said = [t.text.upper() for t in words.tokens]
    if said[1:2] == ["SCHEMAS"]:
        return Select("SELECT schema_name, schema_owner, comment FROM information_schema.schemata ORDER BY schema_name")
    path = words.name(3) if said[2:3] in (["IN"], ["FROM"]) else ()
    if said[1:2] == ["COLUMNS"] and len(path) > 1:
        named = f"table_schema = {text(path[-2])} AND table_name = {text(path[-1])}"
        return Select("SELECT column_name, data_type, is_nullable, comment "
                      f"FROM {_information(path[:-2])}.columns WHERE {named} ORDER BY ordinal_position")  # fmt: skip
    if said[1:2] not in (["TABLES"], ["VIEWS"]) or (len(said) > 2 and not path):
        raise InvalidInput("SHOW knows SHOW TABLES [IN schema], SHOW VIEWS [IN schema], SHOW COLUMNS IN schema.table and "
                           "SHOW SCHEMAS")  # fmt: skip
    conditions = [f"table_schema = {text(path[-1])}"] if path else []
    conditions += ["table_type = 'VIEW'"] if said[1] == "VIEWS" else []
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    seen = f"{_information(path[:-1])}.tables{where}"
    return Select(f"SELECT table_schema, table_name, table_type, comment FROM {seen} ORDER BY ALL")


def _information(above: Path) -> str:
    return ".".join(quoted(level) for level in (*above, "information_schema"))


def _create(words: Words) -> Statement:
    words, time = words.without_timeseries()
    tree = words.tree()
    assert isinstance(tree, exp.Create)
    kind, exists = str(tree.args.get("kind")).upper(), bool(tree.args.get("exists"))
    target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    if kind == "SCHEMA":
        words.allow(tree, "this", "kind", "exists")
        return CreateSchema(_path(target), exists)
    if kind == "VIEW":
        words.allow(tree, "this", "kind", "expression", "replace", "exists")
        named = tuple(c.name for c in tree.this.expressions) if isinstance(tree.this, exp.Schema) else ()
        return CreateView(_path(target), words.after_as(), named, bool(tree.args.get("replace")), exists)
    if kind == "TABLE":
        return _create_table(words, tree, _path(target), exists, time)
    raise InvalidInput(f"CREATE {kind} is not for users here; tables, views, schemas and functions are made by SQL")


def _create_table(words: Words, tree: exp.Create, name: Path, exists: bool, time: str | None) -> Statement:
    words.allow(tree, "this", "kind", "expression", "replace", "exists", "properties")
    if tree.args.get("replace"):
        raise InvalidInput("CREATE OR REPLACE TABLE would lose the table's history: DELETE FROM it and INSERT, or DROP it")
    partition_by, comment, properties = _properties(tree)
    if tree.expression:
        if isinstance(tree.this, exp.Schema) and tree.this.expressions:
            raise InvalidInput("CREATE TABLE … AS takes its columns from the query: name them there")
        return CreateTable(name, partition_by=partition_by, comment=comment, query=words.after_as(), if_not_exists=exists,
                           properties=properties)  # fmt: skip
    parts = _Columns()
    for part in tree.this.expressions if isinstance(tree.this, exp.Schema) else ():
        parts.take(part)
    if not parts.columns:
        raise InvalidInput(f"{'.'.join(name)} needs columns, or AS SELECT …")
    return CreateTable(name, tuple(parts.columns), tuple(parts.keys), time, parts.checks, partition_by, comment, None, exists,
                       properties)  # fmt: skip


class _Columns:
    """Columns and constraints of CREATE TABLE, taken one by one."""

    def __init__(self) -> None:
        self.columns: list[ColumnSpec] = []
        self.keys: list[str] = []
        self.checks: dict[str, str] = {}

    def take(self, part: exp.Expression) -> None:
        """Raises InvalidInput for what tables here cannot keep."""
        if isinstance(part, exp.ColumnDef):
            self._column(part)
        elif isinstance(part, exp.PrimaryKey):
            self.keys += [k.name for k in part.expressions]
        elif isinstance(part, exp.Constraint):
            for inner in part.expressions:
                self._constraint(inner, part.name)
        else:
            self._constraint(part, "")

    def _column(self, part: exp.ColumnDef) -> None:
        required, comment = False, ""
        for constraint in part.constraints:
            kind = constraint.kind
            if isinstance(kind, exp.NotNullColumnConstraint) and not kind.args.get("allow_null"):
                required = True
            elif isinstance(kind, exp.PrimaryKeyColumnConstraint):
                self.keys.append(part.name)
            elif isinstance(kind, exp.CommentColumnConstraint):
                comment = kind.this.name
            elif isinstance(kind, exp.CheckColumnConstraint):
                self._constraint(kind, "")
            elif not isinstance(kind, exp.NotNullColumnConstraint):
                raise InvalidInput(f"{part.name}: {constraint.sql(dialect='duckdb')} is not kept by tables here")
        if part.kind is None:
            raise InvalidInput(f"the column {part.name} needs a type")
        self.columns.append(ColumnSpec(part.name, part.kind.sql(dialect="duckdb"), required, comment))

    def _constraint(self, part: exp.Expression, name: str) -> None:
        if isinstance(part, exp.PrimaryKey):
            self.keys += [k.name for k in part.expressions]
        elif isinstance(part, exp.CheckColumnConstraint):
            self.checks[name or f"check_{len(self.checks) + 1}"] = part.this.sql(dialect="postgres")
        else:
            raise InvalidInput(f"tables here keep PRIMARY KEY, NOT NULL and CHECK, not {part.sql(dialect='duckdb')}")


def _properties(tree: exp.Create) -> tuple[tuple[str, ...], str, dict[str, str]]:
    """What it is partitioned by, its comment, and properties of Delta's."""
    partition_by: tuple[str, ...] = ()
    comment, ours = "", dict[str, str]()
    for given in tree.args["properties"].expressions if tree.args.get("properties") else ():
        if isinstance(given, exp.PartitionedByProperty):
            partition_by = tuple(c.name for c in given.this.expressions)
        elif isinstance(given, exp.SchemaCommentProperty):
            comment = given.this.name
        elif type(given) is exp.Property:
            name = given.this.name if isinstance(given.this, exp.Literal) else given.this.sql(dialect="duckdb")
            value = given.args["value"]
            ours[name] = str(value.this).lower() if isinstance(value, exp.Boolean) else value.name
        elif not (isinstance(given, exp.FileFormatProperty) and given.name.upper() == "DELTA"):
            raise InvalidInput("CREATE TABLE knows PARTITIONED BY, COMMENT and TBLPROPERTIES here, not "
                               f"{given.sql(dialect='duckdb')}")  # fmt: skip
    return partition_by, comment, ours


def _drop(words: Words) -> Statement:
    tree = words.tree()
    assert isinstance(tree, exp.Drop)
    words.allow(tree, "this", "kind", "tables", "exists", "cascade")
    kind = str(tree.args.get("kind")).upper()
    targets = tree.args.get("tables") or ([tree.this] if tree.this else [])
    if kind not in ("TABLE", "VIEW", "SCHEMA", "FUNCTION") or len(targets) != 1:
        raise InvalidInput("DROP takes one TABLE, VIEW, SCHEMA or FUNCTION")
    return Drop(kind, _path(targets[0]), bool(tree.args.get("exists")), bool(tree.args.get("cascade")))


def _insert(words: Words) -> Statement:
    tree = words.tree()
    assert isinstance(tree, exp.Insert)
    words.allow(tree, "this", "expression", "by_name")
    target = tree.this
    columns: tuple[str, ...] = ()
    if isinstance(target, exp.Schema):
        target, columns = target.this, tuple(c.name for c in tree.this.expressions)
    if not isinstance(tree.expression, exp.Query | exp.Values):
        raise InvalidInput("INSERT takes VALUES or a query")
    by_name = bool(tree.args.get("by_name"))
    return Insert(_path(target), words.after_insert(), columns, by_name)


def _delete(words: Words) -> Statement:
    tree = words.tree()
    assert isinstance(tree, exp.Delete)
    words.allow(tree, "this", "where")
    _shorten(tree, tree.this)
    where = tree.args.get("where")
    return Delete(_path(tree.this), where.this if where else None, tree.this.alias)


def _truncate(words: Words) -> Statement:
    tree = words.tree()
    assert isinstance(tree, exp.TruncateTable)
    words.allow(tree, "expressions")
    if len(tree.expressions) != 1:
        raise InvalidInput("TRUNCATE takes one table")
    return Delete(_path(tree.expressions[0]))


def _update(words: Words) -> Statement:
    tree = words.tree()
    assert isinstance(tree, exp.Update)
    words.allow(tree, "this", "expressions", "where")
    _shorten(tree, tree.this)
    where = tree.args.get("where")
    return Update(_path(tree.this), _assigned(tree.expressions), where.this if where else None, tree.this.alias)


def _merge(words: Words) -> Statement:
    tree = words.tree()
    assert isinstance(tree, exp.Merge)
    words.allow(tree, "this", "using", "on", "whens")
    if tree.args.get("on") is None:
        raise InvalidInput("MERGE needs ON and a condition")
    using = tree.args["using"]
    alias = using.alias or (using.name if isinstance(using, exp.Table) else "")
    if not alias:
        raise InvalidInput("the source of MERGE needs a name: USING (SELECT …) AS source")
    target = tree.this
    _shorten(tree, target)
    whens = tuple(_when(words, when) for when in tree.args["whens"].expressions)
    return Merge(_path(target), target.alias or target.name, words.between_using_and_on(), alias, tree.args["on"], whens)


def _when(words: Words, when: exp.When) -> When:
    words.allow(when, "matched", "source", "condition", "then")
    matched, by_source = bool(when.args.get("matched")), bool(when.args.get("source"))
    then, condition = when.args["then"], when.args.get("condition")
    said = then.name.upper() if isinstance(then, exp.Var) else ""
    if isinstance(then, exp.Insert):
        if matched or by_source:
            raise InvalidInput("INSERT stands in WHEN NOT MATCHED")
        return When(False, False, "insert", condition, _inserted(then))
    if isinstance(then, exp.Update):
        whole = not then.expressions or isinstance(then.expressions, exp.Star) or isinstance(then.expressions[0], exp.Star)
        values = None if whole else _assigned(then.expressions)
        return When(matched, by_source, "update", condition, values)
    if said == "DELETE":
        return When(matched, by_source, "delete", condition)
    raise InvalidInput(f"MERGE knows UPDATE, DELETE and INSERT, not {then.sql(dialect='duckdb')}")


def _inserted(then: exp.Insert) -> dict[str, exp.Expression] | None:
    if then.this is None or isinstance(then.this, exp.Star) or then.expression is None:
        return None
    columns = [c.name for c in then.this.expressions]
    values = list(then.expression.expressions)
    if len(columns) != len(values):
        raise InvalidInput(f"INSERT names {len(columns)} columns and {len(values)} values")
    return dict(zip(columns, values, strict=True))


def _assigned(pairs: Sequence[exp.Expression]) -> dict[str, exp.Expression]:
    found: dict[str, exp.Expression] = {}
    for pair in pairs:
        if not isinstance(pair, exp.EQ) or not isinstance(pair.this, exp.Column):
            raise InvalidInput(f"SET takes column = expression, not {pair.sql(dialect='duckdb')}")
        if pair.this.name in found:
            raise InvalidInput(f"SET names {pair.this.name} twice")
        found[pair.this.name] = pair.expression
    return found


def _optimize(words: Words) -> Statement:
    path, rest = words.name_and_rest(1)
    said = [t.text.upper() for t in rest]
    if not rest:
        return Optimize(path)
    if said[0] == "ZORDER" and said[1:2] == ["BY"]:
        columns = tuple(t.text for t in rest[2:] if t.token_type not in (TokenType.L_PAREN, TokenType.R_PAREN, TokenType.COMMA))
        return Optimize(path, columns)
    raise InvalidInput("write OPTIMIZE schema.table [ZORDER BY (column, …)]")


def _vacuum(words: Words) -> Statement:
    path, rest = words.name_and_rest(1)
    said = [t.text.upper() for t in rest]
    dry = said[-2:] == ["DRY", "RUN"]
    said = said[:-2] if dry else said
    if not said:
        return Vacuum(path, dry_run=dry)
    if len(said) == 3 and said[0] == "RETAIN" and said[1].isdigit() and said[2] == "HOURS":
        return Vacuum(path, int(said[1]), dry)
    raise InvalidInput("write VACUUM schema.table [RETAIN n HOURS] [DRY RUN]")


def _shorten(tree: exp.Expression, target: Any) -> None:
    """Columns that are written with the changed table's whole name, `raw.t.id`, have its last level alone after."""
    path = _path(target)
    for column in tree.find_all(exp.Column):
        above = tuple(part.name for part in column.parts[:-1])
        if len(above) > 1 and above == path[-len(above) :] and column.find_ancestor(exp.Query) is None:
            column.set("catalog", None)
            column.set("db", None)


def _path(table: Any) -> Path:
    known = {"this", "db", "catalog", "alias"}
    if isinstance(table, exp.Table) and (more := [part for part, given in table.args.items() if given and part not in known]):
        raise InvalidInput(f"{table.sql(dialect='duckdb')}: {more[0]} does not belong to the name of a table that is changed")
    if not isinstance(table, exp.Table):
        raise InvalidInput(f"{table} is no name of a table")
    return tuple(part.name for part in table.parts)


_READERS: dict[str, Callable[[Words], Statement]] = {
    "SELECT": _select, "WITH": _select, "FROM": _select, "VALUES": _select, "TABLE": _select, "(": _select,
    "DESCRIBE": _describe, "DESC": _describe, "SUMMARIZE": _select, "PIVOT": _select, "UNPIVOT": _select, "SHOW": _show,
    "CREATE": _create, "DROP": _drop, "INSERT": _insert, "DELETE": _delete, "TRUNCATE": _truncate, "UPDATE": _update,
    "MERGE": _merge, "OPTIMIZE": _optimize, "VACUUM": _vacuum,
}  # fmt: skip
