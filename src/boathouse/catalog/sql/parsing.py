"""Queries and expressions taken apart by two parsers, which must agree; what was taken apart before is remembered."""

import threading
from collections import OrderedDict
from dataclasses import replace

from boathouse.catalog.sql.reading import Reading, check_expression, read
from boathouse.catalog.sql.sources import sources_of
from boathouse.errors import InvalidInput
from boathouse.lake import WorkerProcess

_LONGEST = 200_000
_REMEMBERED = 512
_SHORT = 10_000


class Parsing:
    """DuckDB's parser, in a worker, beside SQLGlot's here. For any thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Reading] = OrderedDict()
        self._lock = threading.Lock()

    def query(self, worker: WorkerProcess, text: str) -> Reading:
        """What a query reads. Raises InvalidInput for what is no single reading query of allowed parts."""
        with self._lock:
            if text in self._known:
                self._known.move_to_end(text)
                return self._known[text]
        reading = _read(worker, text)
        self._remember(text, reading)
        return reading

    def expression(self, worker: WorkerProcess, text: str, what: str) -> None:
        """Accept a mask or filter. Raises InvalidInput, naming `what` it is."""
        query = f"SELECT ({text}\n)"
        with self._lock:
            if query in self._known:
                return
        try:
            parsed = worker.parse(query)
            check_expression(parsed.tree, parsed.kinds)
        except InvalidInput as error:
            raise InvalidInput(f"{what} cannot be used: {error}") from error
        self._remember(query, Reading())

    def _remember(self, text: str, reading: Reading) -> None:
        if len(text) > _SHORT:
            return
        with self._lock:
            self._known[text] = reading
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


def _read(worker: WorkerProcess, text: str) -> Reading:
    if len(text) > _LONGEST:
        raise InvalidInput(f"the SQL is {len(text):,} characters long; at most {_LONGEST:,} are read")
    second = set(sources_of(text))
    parsed = worker.parse(text)
    reading = read(parsed.tree, parsed.kinds)
    first = {table.path for table in reading.tables}
    if first != second:
        doubtful = ", ".join(sorted(".".join(path) for path in first ^ second))
        raise InvalidInput(f"two parsers disagree on whether {doubtful} is a table here; write the query more plainly")
    # in a subquery of the condition the table would be read whole
    return replace(reading, condition=parsed.condition) if len(reading.tables) == 1 else reading
