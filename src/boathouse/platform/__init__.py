"""The composition root: opens the home and its database, builds every room, hands out the Platform."""

from boathouse.platform.federation import WORKLOAD_LIFETIME
from boathouse.platform.home import Address, Home
from boathouse.platform.platform import Platform

__all__ = ["WORKLOAD_LIFETIME", "Address", "Home", "Platform"]
