"""Unit tests of a project are kept off the network, and hear what to do about it."""

import subprocess
import sys

import pytest

from boathouse.client import no_network

STORY = """
import asyncio, importlib.util, socket
spec = importlib.util.spec_from_file_location("no_network", {file!r})
found = importlib.util.module_from_spec(spec)
spec.loader.exec_module(found)
refuse_network = found.refuse_network
elsewhere = socket.create_server(("127.0.0.1", 0))
refuse_network(loopback={loopback})
mine = socket.create_server(("127.0.0.1", 0))
socket.create_connection(mine.getsockname()).close()
asyncio.run(asyncio.sleep(0))
try:
    {act}
    print("done")
except OSError as error:
    print(type(error).__name__, error)
"""


def told(act: str, loopback: bool = False) -> str:
    words = [sys.executable, "-I", "-c", STORY.format(file=no_network.__file__, act=act, loopback=loopback)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    "act",
    [
        'socket.create_connection(("192.0.2.1", 80), timeout=1)',
        'socket.getaddrinfo("example.org", 443)',
        "socket.create_connection(elsewhere.getsockname())",
        'socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53))',
        '__import__("urllib.request").request.urlopen("http://192.0.2.1/")',
    ],
)
def test_reaching_out_is_refused_with_what_to_do(act: str) -> None:
    assert "unit tests run without network, and one wanted to reach" in told(act)


def test_where_nobody_else_is_there_all_of_loopback_is_allowed() -> None:
    assert told("socket.create_connection(elsewhere.getsockname()).close()", loopback=True) == "done\n"
