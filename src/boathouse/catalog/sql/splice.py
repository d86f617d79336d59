"""Other names in place of those that a query writes, at the very places where DuckDB's parser found them."""

import re
from collections.abc import Iterable, Mapping

from boathouse.catalog.sql.reading import TableRead
from boathouse.errors import InvalidInput
from boathouse.lake import quoted

Path = tuple[str, ...]

_LEVEL = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^\s."\'(),;]+))')
_DOT = re.compile(r"\s*\.")


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
        if table.start is None:
            if name == table.path:
                continue
            raise InvalidInput(f"{table.written} is read with SELECT … FROM only")
        end = table.start + _length(encoded[table.start :].decode(), table)
        alias = "" if table.alias else f" AS {quoted(plain)}"
        made = ".".join(map(quoted, name)) + alias
        encoded = encoded[: table.start] + made.encode() + encoded[end:]
    return encoded.decode()


def _length(text: str, table: TableRead) -> int:
    """How many bytes of a text, from its beginning on, are the table's name: what DuckDB tells holds its alias too."""
    at = 0
    for place, level in enumerate(table.path):
        if place:
            dot = _DOT.match(text, at)
            at = dot.end() if dot else at
        found = _LEVEL.match(text, at)
        said = found and (found[1].replace('""', '"') if found[1] is not None else found[2])
        if not found or said != level:
            raise InvalidInput(f"{table.written} is written in a way that cannot be followed; write it plainly")
        at = found.end()
    return len(text[:at].encode())
