"""Other names in place of those that a query writes, at the very places where DuckDB's parser found them."""

from collections.abc import Iterable, Mapping

from boathouse.catalog.sql.reading import TableRead
from boathouse.errors import InvalidInput
from boathouse.lake import quoted

Path = tuple[str, ...]


def spliced(query: str, tables: Iterable[TableRead], names: Mapping[Path, Path]) -> str:
    """The query with each table under its name in `names`; for columns it keeps the name it was written with.

    Raises InvalidInput where a table stands at a place that is not known.
    """
    encoded = query.encode()
    for table in sorted(tables, key=lambda t: t.start or 0, reverse=True):
        name = names.get(table.path, table.path)
        plain = table.path[-1].partition("@")[0]
        if name == table.path and plain == table.path[-1]:
            continue
        if table.start is None or table.end is None:
            if name == table.path:
                continue
            raise InvalidInput(f"{table.written} is read with SELECT … FROM only")
        alias = "" if table.alias else f" AS {quoted(plain)}"
        made = ".".join(map(quoted, name)) + alias
        encoded = encoded[: table.start] + made.encode() + encoded[table.end :]
    return encoded.decode()
