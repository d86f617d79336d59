from shop.instants import BEGINNING, instant
from shop.raw import CUSTOMERS, ORDERS

TODAY, LATER = instant("2025-05-26"), instant("2025-06-23")


def test_nothing_is_taken_in_before_it_was_known() -> None:
    for table in (ORDERS, CUSTOMERS):
        known = table.rows(BEGINNING, TODAY)["known_time"].to_pylist()
        assert known
        assert max(known) <= TODAY


def test_two_steps_take_in_what_one_does_and_nothing_twice() -> None:
    for table in (ORDERS, CUSTOMERS):
        steps = [table.rows(BEGINNING, TODAY), table.rows(TODAY, LATER)]
        assert sum(step.num_rows for step in steps) == table.rows(BEGINNING, LATER).num_rows


def test_an_order_is_known_at_the_midnight_after_it() -> None:
    for row in ORDERS.rows(BEGINNING, LATER).slice(0, 20).to_pylist():
        assert 0 < (row["known_time"] - row["ordered_at"]).total_seconds() <= 24 * 3600
