"""The outbox: an event is there with its change or not at all, and is delivered in order, at least once."""

import logging
import threading
from collections.abc import Callable

import pytest

from boathouse.database import Database
from boathouse.errors import NotFound
from boathouse.events import Event, Outbox


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


@pytest.fixture
def emit(outbox: Outbox, database: Database) -> Callable[..., None]:
    def write(*subjects: str, kind: str = "table.updated") -> None:
        with database.writing() as connection:
            for subject in subjects:
                outbox.emit(connection, kind, subject, {"version": 1})

    return write


def test_events_are_delivered_oldest_first_and_once(outbox: Outbox, emit: Callable[..., None]) -> None:
    heard: list[str] = []
    outbox.subscribe("", lambda event: heard.append(event.subject))
    emit("a", "b", "c")
    assert (outbox.waiting(), outbox.deliver(), outbox.waiting()) == (3, 3, 0)
    assert (heard, outbox.deliver()) == (["a", "b", "c"], 0)


def test_an_event_shares_the_fate_of_its_transaction(outbox: Outbox, database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.writing() as connection:  # noqa: PT012
        outbox.emit(connection, "table.updated", "a", {})
        raise ZeroDivisionError
    assert outbox.waiting() == 0


def test_a_handler_hears_its_kinds_only(outbox: Outbox, emit: Callable[..., None]) -> None:
    heard: list[str] = []
    outbox.subscribe("model_version.", lambda event: heard.append(event.kind))
    emit("a", kind="model_version.created")
    emit("a", kind="model.deleted")
    assert outbox.deliver() == 2
    assert heard == ["model_version.created"]


def test_what_a_handler_failed_at_is_delivered_again(
    outbox: Outbox, emit: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[str] = []

    def fail_once(event: Event) -> None:
        tries.append(event.subject)
        if len(tries) == 1:
            raise RuntimeError("not now")

    outbox.subscribe("", fail_once)
    emit("a", "b")
    assert (outbox.deliver(), outbox.waiting()) == (0, 2)
    assert (outbox.deliver(), outbox.waiting()) == (2, 0)
    assert tries == ["a", "a", "b"]
    assert "was not taken" in caplog.text


def test_an_event_that_always_fails_is_set_aside_and_blocks_no_other(
    outbox: Outbox, emit: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def refuse_a(event: Event) -> None:
        if event.subject == "a":
            raise RuntimeError("never")
        heard.append(event.subject)

    caplog.set_level(logging.CRITICAL)
    outbox.subscribe("", refuse_a)
    emit("a", "b")
    for _ in range(10):
        outbox.deliver()
    assert (heard, outbox.waiting()) == (["b"], 0)


def test_events_outlive_their_process(database: Database, emit: Callable[..., None]) -> None:
    emit("a")
    heard: list[Event] = []
    later = Outbox(database)
    later.subscribe("", heard.append)
    assert later.deliver() == 1
    assert (heard[0].subject, heard[0].data) == ("a", {"version": 1})
    assert later.recent() == heard


def test_a_handler_may_emit_what_is_delivered_next(
    outbox: Outbox, emit: Callable[..., None], database: Database
) -> None:
    heard: list[str] = []

    def answer(event: Event) -> None:
        heard.append(event.subject)
        if event.subject == "a":
            emit("b")

    outbox.subscribe("", answer)
    emit("a")
    assert outbox.deliver() == 2
    assert heard == ["a", "b"]


def test_events_are_delivered_in_the_background(outbox: Outbox, emit: Callable[..., None]) -> None:
    heard = threading.Event()
    outbox.subscribe("", lambda _: heard.set())
    outbox.start()
    try:
        emit("a")
        assert heard.wait(10)
    finally:
        outbox.stop()


def test_what_was_set_aside_is_listed_and_delivered_again_on_demand(
    outbox: Outbox, emit: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    broken, heard = [True], []

    def handle(event: Event) -> None:
        if broken[0] and event.subject == "a":
            raise RuntimeError("the disk is full")
        heard.append(event.subject)

    caplog.set_level(logging.CRITICAL)
    outbox.subscribe("", handle)
    emit("a", "b")
    for _ in range(10):
        outbox.deliver()
    (aside,) = outbox.set_aside()
    assert (heard, aside.subject, aside.attempts, aside.error) == (["b"], "a", 10, "RuntimeError: the disk is full")
    broken[0] = False
    outbox.redeliver(aside.id)
    assert (outbox.deliver(), heard, outbox.set_aside()) == (1, ["b", "a"], [])
    with pytest.raises(NotFound, match="no event 1 was set aside"):
        outbox.redeliver(aside.id)
