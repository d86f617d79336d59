"""What an engine says when memory and disk do not suffice."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from boathouse.errors import LimitExceeded


@contextmanager
def limited() -> Iterator[None]:
    """What DuckDB raises when memory or disk do not suffice, as LimitExceeded that names the setting."""
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        for sign, advice in _ADVICE.items():
            if sign in str(error):
                raise LimitExceeded(f"{_line(error)} {advice}") from error
        raise


_DISK = (
    "The disk that queries spill to is full: point the setting temp_directory (BOATHOUSE_TEMP_DIRECTORY) to a larger one, "
    "or raise memory_limit"
)
_ADVICE = {
    "max_temp_directory_size": _DISK,
    "No space left": _DISK,
    "Failed to create directory": "Nothing can be spilled there: point the setting temp_directory (BOATHOUSE_TEMP_DIRECTORY) "
                                  "to a folder that can be written to",
    "Out of Memory": "Even with spilling the query does not fit: raise the setting memory_limit (BOATHOUSE_MEMORY_LIMIT), "
                     "or ask for fewer columns or rows at once",
}  # fmt: skip
"""What DuckDB's error says -> what to do."""


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") + "."
