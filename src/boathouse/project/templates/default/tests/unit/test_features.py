from collections.abc import Callable
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection as Lake

from shop.features import customer_orders, reorders
from shop.instants import BEGINNING, instant

END = instant("2025-04-01")
Rows = Callable[[datetime, datetime], str]


def order(lake: Lake, ordered_at: str, known: str, amount: float = 10.0, customer: int = 1) -> None:
    values = [customer, f"{ordered_at}+00", amount, f"{known}+00"]
    lake.execute("insert into raw.orders values (1, ?, ?, ?, ?)", values)


def by_day(lake: Lake, rows: Rows, since: datetime = BEGINNING, until: datetime = END) -> dict[str, Any]:
    found = lake.sql(rows(since, until)).to_arrow_table().to_pylist()
    return {f"{row['day']:%Y-%m-%d}": row for row in found}


def test_an_order_counts_from_the_midnight_on_which_it_is_known(lake: Lake) -> None:
    order(lake, "2025-02-10 12:00:00", known="2025-02-11 00:00:00", amount=25)
    days = by_day(lake, customer_orders)
    assert days["2025-02-10"]["orders_30d"] == 0
    assert days["2025-02-11"]["orders_30d"] == 1
    assert days["2025-02-11"]["spend_30d"] == 25


def test_an_order_that_was_reported_late_counts_late(lake: Lake) -> None:
    order(lake, "2025-02-10 12:00:00", known="2025-02-14 00:00:00")
    days = by_day(lake, customer_orders)
    assert [days[f"2025-02-{day}"]["orders_30d"] for day in (13, 14)] == [0, 1]


def test_an_order_is_forgotten_after_thirty_days_but_not_when_it_was(lake: Lake) -> None:
    order(lake, "2025-02-01 12:00:00", known="2025-02-02 00:00:00")
    days = by_day(lake, customer_orders)
    assert [days[day]["orders_30d"] for day in ("2025-03-03", "2025-03-04")] == [1, 0]
    assert days["2025-03-04"]["days_since_order"] == 31


def test_who_never_ordered_has_waited_since_joining(lake: Lake) -> None:
    assert by_day(lake, customer_orders)["2025-02-01"]["days_since_order"] == 31


def test_a_customer_has_no_rows_before_joining(lake: Lake) -> None:
    lake.execute("update raw.customers set known_time = '2025-03-01'")
    assert min(by_day(lake, customer_orders)) == "2025-03-02"


def test_a_refresh_in_two_steps_gives_the_same_rows_as_one(lake: Lake) -> None:
    order(lake, "2025-02-10 12:00:00", known="2025-02-11 00:00:00")
    middle = instant("2025-02-20")
    for rows in (customer_orders, reorders):
        steps = by_day(lake, rows, until=middle) | by_day(lake, rows, since=middle)
        assert steps == by_day(lake, rows)


def test_an_order_in_the_week_after_a_monday_is_a_reorder(lake: Lake) -> None:
    order(lake, "2025-02-16 23:59:00", known="2025-02-17 00:00:00")
    labels = by_day(lake, reorders)
    mondays = ("2025-02-03", "2025-02-10", "2025-02-17")
    assert [labels[day]["reordered"] for day in mondays] == [0, 1, 0]
    assert labels["2025-02-10"]["label_time"] == instant("2025-02-17")


def test_a_label_is_not_known_before_its_week_is_over(lake: Lake) -> None:
    assert max(by_day(lake, reorders, until=instant("2025-02-16"))) == "2025-02-03"
    assert max(by_day(lake, reorders, until=instant("2025-02-17"))) == "2025-02-10"
