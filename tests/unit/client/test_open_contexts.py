"""Which connection a process's code finds."""

import contextvars
from typing import Any, cast

import pytest

from boathouse import context


@pytest.fixture(autouse=True)
def nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "_open", [])


def made(name: str) -> Any:
    return cast("Any", name)


def in_a_fresh_context(work: Any) -> None:
    contextvars.Context().run(work)


def test_a_closed_connection_is_found_no_more_however_often_it_was_chosen() -> None:
    def work() -> None:
        for name in ("first", "second", "first"):
            context.use(made(name))
        context.forget(made("first"))
        assert context.in_process() == "second"
        context.forget(made("second"))
        assert context.in_process() is None

    in_a_fresh_context(work)


def test_one_that_another_thread_closed_is_not_found_either() -> None:
    def work() -> None:
        context.use(made("first"))
        in_a_fresh_context(lambda: context.forget(made("first")))
        assert context.in_process() is None

    in_a_fresh_context(work)
