"""The statements that tables here can do, and their parts."""

from dataclasses import dataclass, field

from sqlglot import exp

Path = tuple[str, ...]


@dataclass(frozen=True)
class Select:
    """Anything that reads: SELECT, VALUES, DESCRIBE, SUMMARIZE, PIVOT, SHOW."""

    query: str


@dataclass(frozen=True)
class ColumnSpec:
    """A column of CREATE TABLE; `type` is SQL."""

    name: str
    type: str
    required: bool = False
    comment: str = ""


@dataclass(frozen=True)
class CreateTable:
    """CREATE TABLE with columns, or AS a query."""

    name: Path
    columns: tuple[ColumnSpec, ...] = ()
    primary_keys: tuple[str, ...] = ()
    event_time: str | None = None
    checks: dict[str, str] = field(default_factory=dict)
    partition_by: tuple[str, ...] = ()
    comment: str = ""
    query: str | None = None
    if_not_exists: bool = False
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CreateView:
    """CREATE [OR REPLACE] VIEW."""

    name: Path
    query: str
    columns: tuple[str, ...] = ()
    replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True)
class CreateSchema:
    """CREATE SCHEMA."""

    name: Path
    if_not_exists: bool = False


@dataclass(frozen=True)
class CreateFunction:
    """CREATE [OR REPLACE] FUNCTION … LANGUAGE PYTHON, as it was written."""

    text: str


@dataclass(frozen=True)
class Drop:
    """DROP TABLE, VIEW, SCHEMA or FUNCTION."""

    kind: str
    name: Path
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True)
class Insert:
    """INSERT INTO a table the rows of a query; `by_name` matches columns by their names."""

    name: Path
    query: str
    columns: tuple[str, ...] = ()
    by_name: bool = False


@dataclass(frozen=True)
class Delete:
    """DELETE FROM a table; TRUNCATE without a condition."""

    name: Path
    where: exp.Expression | None = None
    alias: str = ""


@dataclass(frozen=True)
class Update:
    """UPDATE a table: column -> expression."""

    name: Path
    values: dict[str, exp.Expression]
    where: exp.Expression | None = None
    alias: str = ""


@dataclass(frozen=True)
class When:
    """One clause of MERGE; `action` is update, delete or insert. Without `values` all columns are taken from the source."""

    matched: bool
    by_source: bool
    action: str
    condition: exp.Expression | None = None
    values: dict[str, exp.Expression] | None = None


@dataclass(frozen=True)
class Merge:
    """MERGE INTO a table USING a source."""

    name: Path
    alias: str
    source: str
    source_alias: str
    condition: exp.Expression
    whens: tuple[When, ...]


@dataclass(frozen=True)
class Optimize:
    """OPTIMIZE a table, clustered by columns where given."""

    name: Path
    z_order: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vacuum:
    """VACUUM a table."""

    name: Path
    hours: int = 168
    dry_run: bool = False


Statement = (
    Select | CreateTable | CreateView | CreateSchema | CreateFunction | Drop | Insert | Delete | Update | Merge
    | Optimize | Vacuum
)
