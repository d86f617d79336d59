"""Loads what is slow to import before someone waits for it."""

import threading
from contextlib import suppress

from boathouse.platform import Platform
from boathouse.server.ui.static import make_vega

_begun = threading.Event()


def up(platform: Platform) -> None:
    """Once a process: import the libraries of graphs and charts; make the chart library if monitors need it."""
    if _begun.is_set():
        return
    _begun.set()
    with suppress(Exception):  # whoever needs them meets the error, with its reason
        import igraph

        if platform.deployments.resources("quality_monitor"):
            import altair

            make_vega(platform)
