"""What an engine says when memory and disk do not suffice, or a value cannot be what a query makes of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from boathouse.errors import InvalidInput, LimitExceeded


@contextmanager
def limited() -> Iterator[None]:
    """What DuckDB raises when memory or disk do not suffice, as LimitExceeded that names the setting; what it raises of
    names and values that do not fit, or of Python that it called, as InvalidInput.
    """
    try:
        yield
    except _OF_THE_QUERY as error:
        raise InvalidInput(said(error).rpartition(" UDF: InvalidInput: ")[2]) from error
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        for sign, advice in _ADVICE.items():
            if sign in str(error):
                raise LimitExceeded(f"{_line(error)} {advice}") from error
        raise


def said(error: Exception) -> str:
    """What an engine's error says, and which names it might have been, without the query."""
    first, *more = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join([first, *(line for line in more if line.startswith(("Candidate", "Did you mean")))])


_OF_THE_QUERY = (duckdb.BinderException, duckdb.ConversionException, duckdb.InvalidInputException, duckdb.ParserException)
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
