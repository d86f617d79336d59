"""Arrow Flight SQL over a platform, for BI tools and ADBC."""

from boathouse.server.flight.server import FlightSql

__all__ = ["FlightSql"]
