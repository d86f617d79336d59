"""The commits of a table on an object store, read without holding Python's lock as delta-rs' own history does."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import obstore

from boathouse.lake.storage import Storage

_AT_ONCE = 16


def commits(place: Storage, newest: int, limit: int | None = None) -> list[dict[str, Any]]:
    """What each commit says of itself, newest first, with its `version`; those that the log no longer holds are left out."""
    oldest = 0 if limit is None else max(0, newest - limit + 1)
    store = place.store()

    def read(version: int) -> dict[str, Any] | None:
        try:
            said = bytes(obstore.get(store, f"_delta_log/{version:020}.json").bytes())
        except FileNotFoundError:
            return None
        actions = (json.loads(line) for line in said.splitlines() if line.strip())
        info: dict[str, Any] = next((a["commitInfo"] for a in actions if "commitInfo" in a), {})
        return {**info, "version": version}

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [found for found in pool.map(read, range(newest, oldest - 1, -1)) if found is not None]
