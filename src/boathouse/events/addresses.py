"""Where the server may send to: public addresses by https, unless the setting says otherwise."""

import ipaddress
import socket
from urllib.parse import urlsplit

from boathouse.errors import InvalidInput


def check_address(url: str, private: bool) -> None:
    """Raises InvalidInput for an address that is not public https, where `private` ones are not allowed."""
    parts = urlsplit(url)
    if private and parts.scheme in ("http", "https") and parts.hostname:
        return
    if parts.scheme != "https" or not parts.hostname:
        raise InvalidInput(f"{url!r} is no https address; the setting webhook_private_addresses = on allows others")
    check_host(parts.hostname, private, parts.port or 443)


def check_host(host: str, private: bool, port: int = 443) -> None:
    """Raises InvalidInput for a host that has no address, or has private ones where those are not allowed."""
    if private:
        return
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, port)}
    except OSError as error:
        raise InvalidInput(f"{host} has no address: {error}") from error
    if not all(ipaddress.ip_address(address).is_global for address in found):
        raise InvalidInput(f"{host} is a private address; the setting webhook_private_addresses = on allows those")
