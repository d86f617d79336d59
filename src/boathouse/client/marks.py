"""What a table's log keeps of things that it has taken in, so that none is taken in twice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from boathouse.catalog import Table
from boathouse.lake import Frame


@dataclass(frozen=True)
class Mark:
    """Under `application` stands a number that is made of the thing's content."""

    application: str
    number: int

    def stands_in(self, table: Table) -> bool:
        """Whether the table has taken the thing in."""
        return table.transaction_version(self.application) == self.number


class TakenMeanwhile(Exception):
    """The table holds one of the things already; nothing was written."""


def numbers(marks: Mapping[str, Mark]) -> dict[str, int]:
    """Marks as an append takes them."""
    return {mark.application: mark.number for mark in marks.values()}


def append_missing(table: Table, marks: Mapping[str, Mark], rows: Callable[[Sequence[str]], Frame]) -> None:
    """Append the rows of those things that the table has not, whoever else is doing it, too."""
    while left := {thing: mark for thing, mark in marks.items() if not mark.stands_in(table)}:
        table.append(rows(list(left)), sources=(), marks=numbers(left))
