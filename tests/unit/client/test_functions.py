"""What a function's code may be told by, when it leaves its file."""

import datetime

import pytest

from boathouse.client.functions import described_by
from boathouse.errors import InvalidInput


def days_since(day: datetime.date) -> int:
    from datetime import date

    return (day - date(2020, 1, 1)).days


def rounded(x: float) -> float:
    import math

    def inner(value: float) -> float:
        return math.floor(value) + step

    step = 1
    return inner(x)


def this_year(x: float) -> float:
    return sum([datetime.date(2020, 1, 1).year for _ in range(3)], x)


def test_what_a_function_imports_or_makes_inside_is_its_own_whatever_its_module_has() -> None:
    assert described_by("features.days", days_since).returns == "bigint"
    assert described_by("features.rounded", rounded).returns == "double"


def test_a_name_of_the_module_is_told_also_where_a_list_in_it_reads_it() -> None:
    with pytest.raises(InvalidInput, match="uses 'datetime' from outside"):
        described_by("features.year", this_year)
