"""What an endpoint's request holds: unpacked, within bounds."""

import gzip
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from boathouse.errors import InvalidInput, TooLarge
from boathouse.server.question_body import MOST_BYTES, read

BODY = b'{"inputs": [[1, 2]]}' * 10


def read_of(body: bytes, encoding: str | None = None, pieces: int = 1) -> bytes:
    size = -(-len(body) // pieces)
    sent: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": body[at : at + size], "more_body": at + size < len(body)}
         for at in range(0, len(body), size)])  # fmt: skip

    async def receive() -> dict[str, Any]:
        return next(sent, {"type": "http.disconnect"})

    return anyio.run(read, receive, encoding)


@pytest.mark.parametrize("encoding", ["gzip", " GZIP", "x-gzip"])
def test_what_is_packed_is_unpacked(encoding: str) -> None:
    assert read_of(gzip.compress(BODY), encoding, pieces=3) == BODY


@pytest.mark.parametrize("encoding", [None, "", "identity"])
def test_what_is_not_packed_stays_as_it_is(encoding: str | None) -> None:
    assert read_of(BODY, encoding, pieces=2) == BODY


def test_a_little_gzip_does_not_become_more_than_memory_should_hold() -> None:
    bomb = gzip.compress(bytes(MOST_BYTES + 1))
    assert len(bomb) < 100_000
    with pytest.raises(TooLarge, match="64 MiB at most, unpacked"):
        read_of(bomb, "gzip")
    with pytest.raises(TooLarge):
        read_of(bytes(MOST_BYTES + 1), pieces=20)


@pytest.mark.parametrize(
    ("body", "encoding", "said"),
    [(BODY, "gzip", "no gzip"), (gzip.compress(BODY, mtime=0)[:-9], "gzip", "ends too early"), (BODY, "br", "'br' is not read")],
)
def test_what_cannot_be_unpacked_is_refused(body: bytes, encoding: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_of(body, encoding)
