"""Webhooks: signed as MLflow does, in order, at least once; a receiver that is down loses nothing."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import InvalidInput, NotFound
from boathouse.events import Outbox, Webhooks
from boathouse.events.patience import MOST, next_try
from boathouse.events.signed import headers_of
from boathouse.events.store import webhooks


class Receiver:
    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], str]] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                outer.heard.append((dict(self.headers), body))
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def told(self) -> list[str]:
        return [json.loads(body)["data"]["name"] for _, body in self.heard]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def hooks(database: Database) -> Webhooks:
    return Webhooks(database, Outbox(database), "key", private=True)


@pytest.fixture
def emit(database: Database) -> Callable[..., None]:
    def write(kind: str, *subjects: str, **data: Any) -> None:
        with database.writing() as connection:
            for subject in subjects:
                Outbox(database).emit(connection, kind, subject, data)

    return write


def again(database: Database) -> None:
    """The pause before the next try is over."""
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE bh_webhooks SET next_try = NULL"))


def test_a_body_is_signed_with_the_secret_that_was_shown(hooks: Webhooks, receiver: Receiver, emit: Callable[..., None]) -> None:
    _, secret = hooks.create("dev", "ci", receiver.url, ["model_version_alias.created"], "ada")
    emit("model_version.alias_set", "dev.a.b", alias="champion", version=3, principal="ada")
    hooks.deliver()
    headers, body = receiver.heard[0]
    signed = headers_of(headers["X-MLflow-Delivery-Id"], int(headers["X-MLflow-Timestamp"]), body, secret)
    assert signed["X-MLflow-Signature"] == headers["X-MLflow-Signature"]
    told = json.loads(body)
    assert (told["entity"], told["action"]) == ("model_version_alias", "created")
    assert told["data"] == {"name": "dev.a.b", "alias": "champion", "version": "3"}


def test_it_hears_its_own_environment_and_events_only(hooks: Webhooks, receiver: Receiver, emit: Callable[..., None]) -> None:
    emit("model_version.transitioned", "dev.before.it")
    hooks.create("dev", "ci", receiver.url, ["model_version.transitioned"], "ada")
    emit("model_version.transitioned", "dev.a.b", "prod.a.b")
    emit("model_version.created", "dev.a.c")
    hooks.deliver()
    assert receiver.told() == ["dev.a.b"]


def test_a_receiver_that_is_down_loses_nothing_and_hears_in_order(
    hooks: Webhooks, receiver: Receiver, emit: Callable[..., None], database: Database
) -> None:
    hooks.create("dev", "ci", receiver.url, ["*"], "ada")
    receiver.status = 503
    emit("model_version.created", "dev.a.a", "dev.a.b", "dev.a.c")
    hooks.deliver()
    hooks.deliver()  # waits for its pause
    assert receiver.told() == ["dev.a.a"]
    assert hooks.get("dev", "ci").failing_since is not None
    receiver.status = 200
    again(database)
    Webhooks(database, Outbox(database), "key", private=True).deliver()  # another process, after a crash
    assert receiver.told() == ["dev.a.a", "dev.a.a", "dev.a.b", "dev.a.c"]
    assert [d["status"] for d in hooks.deliveries("dev", "ci")] == [200, 200, 200, 503]
    ids = [headers["X-MLflow-Delivery-Id"] for headers, _ in receiver.heard]
    assert ids[0] == ids[1]  # so that a receiver knows what it has had


def test_a_delivery_is_sent_again_by_hand(hooks: Webhooks, receiver: Receiver, emit: Callable[..., None]) -> None:
    hooks.create("dev", "ci", receiver.url, ["*"], "ada")
    emit("model_version.created", "dev.a.a")
    hooks.deliver()
    done = hooks.redeliver("dev", "ci", hooks.deliveries("dev", "ci")[0]["id"])
    assert (done["status"], receiver.told()) == (200, ["dev.a.a", "dev.a.a"])
    with pytest.raises(NotFound, match="no delivery none"):
        hooks.redeliver("dev", "ci", "none")


@pytest.mark.parametrize("url", ["http://example.org/x", "https://127.0.0.1/x", "https://10.0.0.8/x", "https://[::1]/x", "ftp://a"])
def test_addresses_inside_are_refused_unless_allowed(database: Database, url: str) -> None:
    with pytest.raises(InvalidInput, match="webhook_private_addresses"):
        Webhooks(database, Outbox(database), "key").create("dev", "ci", url, ["*"], "ada")


def test_an_event_that_there_is_not_is_refused_with_the_one_that_was_meant(hooks: Webhooks) -> None:
    with pytest.raises(InvalidInput, match=r"'model_version.transitoned': do you mean model_version.transitioned\?"):
        hooks.create("dev", "ci", "https://example.org/hook", ["model_version.transitoned"], "ada")
    with pytest.raises(InvalidInput, match=r"no event is called 'moved': there are registered_model.created, .* and \* for all"):
        hooks.create("dev", "ci", "https://example.org/hook", ["*", "moved"], "ada")
    assert hooks.all("dev") == []


def test_a_clock_that_is_set_delays_no_delivery_and_loses_none(
    hooks: Webhooks, receiver: Receiver, emit: Callable[..., None], database: Database
) -> None:
    hooks.create("dev", "ci", receiver.url, ["*"], "ada")
    receiver.status = 503
    emit("model_version.created", "dev.a.a")
    hooks.deliver()
    hooks.deliver()
    assert len(receiver.heard) == 1  # it waits for its pause
    with database.writing() as connection:  # since then the clock was set back, by hours; and it failed for a year before that
        ahead = {"next_try": clock.now() + timedelta(hours=3), "failing_since": clock.now() - timedelta(days=365)}
        connection.execute(webhooks.update().values(**ahead))
    hooks.deliver()
    [left] = hooks.all("dev")
    assert (len(receiver.heard), left.place, left.attempts) == (2, 0, 2)
    assert left.next_try is not None


def test_after_a_days_tries_it_is_left_and_not_before() -> None:
    assert next_try(MOST - 1) is not None
    assert next_try(MOST) is None
    assert 95 < MOST < 115  # ten doubled pauses, then a quarter of an hour each
