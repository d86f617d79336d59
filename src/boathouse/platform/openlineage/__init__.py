"""OpenLineage events out, to whatever receives them."""

from boathouse.platform.openlineage.feed import Feed
from boathouse.platform.openlineage.telling import Teller
from boathouse.platform.openlineage.transport import sender

__all__ = ["Feed", "Teller", "sender"]
