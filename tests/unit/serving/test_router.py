"""A version that is busy or slow is told as that: it is neither dead nor bad."""

import asyncio
from collections import Counter

import pytest

from boathouse.errors import DeadlineExceeded, Unavailable
from boathouse.serving.router import Answered, Asked, Router
from boathouse.serving.tally import Tally
from boathouse.serving.traffic import CANARY, SHADOW, Route, Target

ASKED = Asked(b"{}", "application/json", "ann")
_REPLY = b"HTTP/1.1 %b\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}"
OK, BUSY, BROKEN = _REPLY % b"200 OK", _REPLY % b"429 Busy", _REPLY % b"400 Bad"
SILENT = b""


class Known:
    """What the router needs of the endpoints."""

    def __init__(self) -> None:
        self.key, self.tally, self.woken = "key", Tally(), 0
        self.busy: Counter[int] = Counter()

    def wake(self) -> None:
        """Count it."""
        self.woken += 1


def asking(served: bytes, other: bytes | None = None, role: str = CANARY,
           patience: float = 5.0) -> tuple[Known, Answered | Exception]:  # fmt: skip
    """What comes of a request to a version that answers so, beside an `other` in that role."""
    known = Known()

    async def start(reply: bytes) -> asyncio.Server:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"{}")
            if reply:
                writer.write(reply)
            else:
                await reader.read()  # until whoever asked is gone
            writer.close()

        return await asyncio.start_server(talk, "127.0.0.1", 0)

    async def run() -> Answered | Exception:
        servers = [await start(reply) for reply in (served, other) if reply is not None]
        ports = [s.sockets[0].getsockname()[1] for s in servers]
        main = Target("main", 1, ports[0], patience=patience)
        beside = Target("beside", 2, ports[-1], role, patience) if other is not None else None
        first = beside if beside and role == CANARY else main
        shadow = (100.0, beside) if beside and role == SHADOW else None
        route = Route("dev", "delay", "dev.m.delay", ((100.0, first),), main, shadow)
        router = Router(known)  # type: ignore[arg-type]
        try:
            return await router.ask(route, ASKED)
        except (Unavailable, DeadlineExceeded) as error:
            return error
        finally:
            await asyncio.sleep(0.1)  # shadows answer behind
            await router.close()
            for server in servers:
                server.close()

    return known, asyncio.run(run())


def judged(known: Known) -> dict[int, tuple[int, int]]:
    """Requests and errors of each version, as rollouts are judged by."""
    return {r.version: (r.health.requests, r.health.errors) for r in known.tally.readings()}


def test_a_slow_version_is_not_told_as_a_dead_one() -> None:
    known, error = asking(SILENT, patience=0.2)
    assert isinstance(error, DeadlineExceeded)
    assert (error.http_status, error.error_code) == (504, "DEADLINE_EXCEEDED")
    assert "no answer within 0.2 s: send fewer rows" in str(error)
    assert known.woken == 0
    assert judged(known) == {1: (1, 1)}


def test_a_dead_version_says_when_to_come_again() -> None:
    known, error = asking(b"HTTP/1.1 nonsense\r\n\r\n")
    assert isinstance(error, Unavailable)
    assert error.details["retry_after"] > 0
    assert known.woken == 1


def test_what_is_turned_away_counts_for_no_rollout_and_says_when_to_come_again() -> None:
    known, answer = asking(BUSY)
    assert isinstance(answer, Answered)
    assert (answer.status, answer.headers["retry-after"]) == (429, "7")
    assert judged(known) == {}
    assert [dict(s.statuses) for s in known.tally.series().values()] == [{429: 1}]


@pytest.mark.parametrize(("champion", "canary", "status", "counted"), [
    (OK, OK, 200, {2: (1, 0)}),
    (OK, BUSY, 200, {1: (1, 0)}),
    (OK, BROKEN, 200, {1: (1, 0), 2: (1, 1)}),
    (BROKEN, BROKEN, 400, {1: (1, 1), 2: (1, 0)}),
    (BUSY, BROKEN, 429, {}),
])  # fmt: skip
def test_a_busy_canary_is_not_a_bad_one(champion: bytes, canary: bytes, status: int, counted: dict[int, tuple[int, int]]) -> None:
    known, answer = asking(champion, canary)
    assert isinstance(answer, Answered)
    assert (answer.status, judged(known)) == (status, counted)


@pytest.mark.parametrize(("served", "shadow", "counted"), [
    (OK, OK, {1: (1, 0), 2: (1, 0)}), (OK, BUSY, {1: (1, 0)}), (BUSY, OK, {}), (OK, BROKEN, {1: (1, 0), 2: (1, 1)}),
])  # fmt: skip
def test_a_busy_shadow_is_not_a_bad_one(served: bytes, shadow: bytes, counted: dict[int, tuple[int, int]]) -> None:
    known, _ = asking(served, shadow, SHADOW)
    assert judged(known) == counted
