"""Keeps a process of tests off the network, with words that say what to do; walls, where there are some, do it with force."""

import ipaddress
import socket
import sys
import weakref
from typing import Any


class NetworkRefused(PermissionError):
    """Code that has to do without network wanted to reach somebody."""


def refuse_network(*, loopback: bool = False) -> None:
    """From now on, connecting and looking names up raise NetworkRefused in this process, for good.

    Allowed are Unix sockets, and on loopback what this process listens on itself; all of `loopback` where nobody else is there.
    """
    listening: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def allowed(host: str, port: int) -> bool:
        if not _is_loopback(host):
            return False
        return loopback or any(s.fileno() >= 0 and s.getsockname()[1:2] == (port,) for s in list(listening))

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event == "socket.bind":
            listening.add(given[0])
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg") and isinstance(given[1], tuple):
            host, port = str(given[1][0]), int(given[1][1])
            if not allowed(host, port):
                raise _refusal(f"{host}:{port}")
        elif event in ("socket.getaddrinfo", "socket.gethostbyname") and given[0] and not _is_loopback(given[0]):
            raise _refusal(str(given[0]))

    sys.addaudithook(hook)


def _refusal(place: str) -> NetworkRefused:
    return NetworkRefused(
        f"unit tests run without network, and one wanted to reach {place}: hand it a stand-in, move it to the integration "
        "tests, or write `tests: {network: true}` in boathouse.yml"
    )


def _is_loopback(host: str | bytes) -> bool:
    name = host.decode(errors="replace") if isinstance(host, bytes) else host
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    return address.is_loopback or address.is_unspecified
