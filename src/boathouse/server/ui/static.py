"""Styles and scripts: those of this package, and the chart library as its wheel makes it, kept by version."""

import functools
import gzip
import hashlib
import importlib.metadata
import subprocess
import sys
import threading
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from boathouse.errors import NotFound, Unavailable
from boathouse.platform import Platform
from boathouse.server.auth import Served

router = APIRouter()
_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
_MAKE = """
import gzip, sys, vl_convert
open(sys.argv[1], "wb").write(gzip.compress(vl_convert.javascript_bundle().encode()))
"""
_making = threading.Lock()


@functools.cache
def _files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.suffix in _TYPES}


@functools.cache
def asset(name: str) -> str:
    """The address of a file of this package; it changes with the file, so browsers may keep it."""
    return f"/static/{name}?v={hashlib.sha256(_files()[name]).hexdigest()[:12]}"


@functools.cache
def graph_style() -> str:
    """The style of a graph that stands in a file of its own: the colours of the pages, and what graphs add."""
    colours, _, _ = _files()["style.css"].decode().partition("* {")
    return colours + _files()["graph.css"].decode()


@functools.cache
def vega() -> str:
    """The address of the chart library."""
    return f"/static/vega-{importlib.metadata.version('vl-convert-python')}.js"


def make_vega(platform: Platform) -> Path:
    """The chart library, compressed, made at first use. Raises Unavailable.

    In a process of its own: making it takes seconds, in which no other thread would run.
    """
    target = platform.settings.path("cache", vega().rpartition("/")[2] + ".gz")
    with _making:
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh = target.with_suffix(".new")
            made = subprocess.run(
                [sys.executable, "-c", _MAKE, str(fresh)],
                capture_output=True,
                text=True,
                timeout=180,
                check=False,
            )
            if made.returncode:
                raise Unavailable(f"the chart library could not be made: {made.stderr[-500:]}")
            fresh.replace(target)
    return target


@router.get("/static/{name}")
def static(name: str, request: Request, platform: Served) -> Response:
    """One file; anyone may have it."""
    if f"/static/{name}" == vega():
        packed = make_vega(platform).read_bytes()
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                packed, media_type="text/javascript", headers=_FOREVER | {"Content-Encoding": "gzip"}
            )
        return Response(gzip.decompress(packed), media_type="text/javascript", headers=_FOREVER)
    if name not in _files():
        raise NotFound(f"there is no file {name!r}")
    return Response(_files()[name], media_type=_TYPES[Path(name).suffix], headers=_FOREVER)
