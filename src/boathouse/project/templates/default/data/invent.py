"""Invents the CSV files beside it, always the same ones: `python data/invent.py` writes them anew.

A customer has a rate of ordering, and may lose interest. In June the shop raises its delivery fee.
"""

import csv
import random
from datetime import datetime, timedelta
from pathlib import Path

FIRST, LAST, NEW_FEE = datetime(2025, 1, 1), datetime(2025, 7, 7), datetime(2025, 6, 3)
CUSTOMERS, NEWCOMERS = 120, 40
CITIES = ("Bergen", "Oslo", "Tromsø", "Trondheim")


def invent(seed: int = 7) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Rows of customers, and rows of orders without their number."""
    chance = random.Random(seed)
    customers: list[tuple[object, ...]] = []
    orders: list[tuple[object, ...]] = []
    for customer in range(1, CUSTOMERS + NEWCOMERS + 1):
        is_new = customer > CUSTOMERS
        joined = FIRST + timedelta(days=chance.randrange(150) if is_new else -chance.randrange(1, 500))
        newsletter = int(chance.random() < 0.4)
        customers.append((customer, joined.date(), chance.choice(CITIES), newsletter))
        rate = 0.035 * chance.lognormvariate(0, 1.0) * (1.6 if newsletter else 1.0)  # orders a day
        usual, interested = chance.lognormvariate(3.4, 0.4), True
        day = max(joined, FIRST)
        while day < LAST:
            interested = interested and chance.random() > 1 / 250
            fee = 0.45 if day >= NEW_FEE else 1.0
            if chance.random() < min(rate, 0.5) * fee * (1.0 if interested else 0.1):
                when = day + timedelta(minutes=chance.randrange(8 * 60, 22 * 60))
                orders.append((customer, when, round(usual * chance.uniform(0.6, 1.6), 2)))
            day += timedelta(days=1)
    return customers, sorted(orders, key=lambda order: order[1])


def main() -> None:
    customers, orders = invent()
    folder = Path(__file__).parent
    with (folder / "customers.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [("customer_id", "joined_on", "city", "newsletter"), *customers]
        )
    with (folder / "orders.csv").open("w", newline="") as file:
        numbered = [
            (number, c, f"{when:%Y-%m-%d %H:%M}", amount)
            for number, (c, when, amount) in enumerate(orders, 1)
        ]
        csv.writer(file, lineterminator="\n").writerows(
            [("order_id", "customer_id", "ordered_at", "amount"), *numbered]
        )


if __name__ == "__main__":
    main()
