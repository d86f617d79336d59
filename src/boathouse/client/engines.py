"""The engine of a process, within what the settings allow it."""

from contextlib import suppress
from uuid import uuid4

from boathouse.lake import Engine
from boathouse.settings import Settings


def engine_within(limits: Settings) -> Engine:
    """An engine that holds `memory_limit` and spills to a folder of its own. Raises InvalidInput naming the setting."""
    memory = f"{limits.size('memory_limit')}B" if limits.memory_limit else None
    with suppress(OSError):  # an engine that cannot spill says so when it has to
        limits.spill.mkdir(parents=True, exist_ok=True)
    return Engine(limits.spill / f"engine-{uuid4().hex[:12]}", memory)
