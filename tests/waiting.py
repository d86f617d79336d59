"""Waiting for what happens in another thread or process."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(holds: Callable[[], T], seconds: float = 60) -> T:
    """What `holds` returns once that is true; fails when it does not come true in time."""
    limit = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.05)
    return found
