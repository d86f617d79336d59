"""Loads what is slow to import before someone waits for it."""

import threading
from contextlib import suppress
from importlib import import_module

from boathouse.platform import Platform
from boathouse.server.ui.static import make_vega

_begun = threading.Event()


def up(platform: Platform) -> None:
    """Once a process: import what draws graphs; where there are monitors, what draws charts too."""
    if _begun.is_set():
        return
    _begun.set()
    with suppress(Exception):  # whoever needs them meets the error, with its reason
        import_module("igraph")
        if platform.deployments.resources("quality_monitor"):
            import_module("altair")
            make_vega(platform)
