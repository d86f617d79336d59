"""Feature tables: what is known of each customer on each day, and whether they then ordered again.

Each is a function from (since, until] to the SQL of the rows that became known in it, so that a refresh
computes only what is new.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shop.instants import BEGINNING, literal

FIRST_DAY = "2025-02-01"
"""The orders begin a month earlier: from here on, 30 days before a day are known."""


@dataclass(frozen=True)
class FeatureTable:
    """A table with one row a customer and `day`, known from `known_time` on."""

    name: str
    description: str
    columns: dict[str, str]
    known_time: str
    rows: Callable[[datetime, datetime], str]


def customer_orders(since: datetime, until: datetime) -> str:
    """A customer's orders of the 30 days before a day, complete and known at its midnight."""
    return f"""
    select c.customer_id, c.day, c.day as known_time,
        count(*) filter (o.ordered_at >= c.day - interval '30 days')::double as orders_30d,
        coalesce(sum(o.amount) filter (o.ordered_at >= c.day - interval '30 days'), 0) as spend_30d,
        date_diff('day', coalesce(max(o.ordered_at), c.joined_at), c.day)::double as days_since_order
    from ({_customer_days(since, until)}) as c
    left join raw.orders as o on o.customer_id = c.customer_id and o.known_time <= c.day
    group by c.customer_id, c.day, c.joined_at
    """


def reorders(since: datetime, until: datetime) -> str:
    """For every Monday, whether a customer ordered in the week that followed; known when it is over."""
    return f"""
    select c.customer_id, c.day, (count(o.order_id) > 0)::int as reordered,
        c.day + interval '7 days' as label_time
    from ({_customer_days(BEGINNING, until)}) as c
    left join raw.orders as o on o.customer_id = c.customer_id
        and o.ordered_at >= c.day and o.ordered_at < c.day + interval '7 days'
    where isodow(c.day) = 1 and label_time > {literal(since)} and label_time <= {literal(until)}
    group by c.customer_id, c.day
    """


def _customer_days(since: datetime, until: datetime) -> str:
    """Customers on every day in (since, until] on which they were customers already."""
    return f"""
    select customer_id, known_time as joined_at, day
    from raw.customers cross join (select unnest(generate_series(
        timestamptz '{FIRST_DAY}', {literal(until)}, interval '1 day')) as day)
    where day > {literal(since)} and known_time < day
    """


CUSTOMER_ORDERS = FeatureTable(
    "features.customer_orders",
    "What customers ordered in the 30 days before a day.",
    {
        "orders_30d": "Number of orders in the 30 days before.",
        "spend_30d": "What they came to.",
        "days_since_order": "Days since the last order, or since the customer joined.",
    },
    "known_time",
    customer_orders,
)
REORDERS = FeatureTable(
    "features.reorders",
    "Whether customers ordered in the week after a Monday. New model versions are tested on it.",
    {"reordered": "1 if they ordered, else 0."},
    "label_time",
    reorders,
)
TABLES = (CUSTOMER_ORDERS, REORDERS)
