"""Which store a location is of."""

from functools import lru_cache
from pathlib import Path

from boathouse.errors import InvalidInput
from boathouse.features.online.embedded import EmbeddedStore
from boathouse.features.online.redis_store import SCHEMES, RedisStore
from boathouse.features.online.store import OnlineStore


def at_store(url: str, name: str) -> str:
    """The location of a named store at a server, whose rows lie apart from other stores'."""
    return f"{url}#store={name}"


def open_online_store(location: str, environment: str) -> OnlineStore:
    """The store of an environment: a folder of the embedded one, or the address of a Redis server.

    Raises InvalidInput for another address, MissingExtra without the libraries of Redis.
    """
    return _opened(str(location), environment)


@lru_cache(64)
def _opened(location: str, environment: str) -> OnlineStore:
    if location.startswith(SCHEMES):
        url, _, name = location.partition("#store=")
        return RedisStore(url, environment, name)
    if "://" in location:
        raise InvalidInput(f"the online store {location.partition('://')[0]}://… is unknown: use embedded, or redis://host:port/0")
    return EmbeddedStore(Path(location), environment)
