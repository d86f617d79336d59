"""Graphs drawn from left to right: igraph places the boxes in layers and leads long edges around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_WIDTH, _HEIGHT = 184, 40
_STEP_X, _STEP_Y = _WIDTH + 44, _HEIGHT + 16
_MARGIN = 4


@dataclass(frozen=True)
class Node:
    """A box: its title, a note below, where it leads, and a word for its looks."""

    key: str
    title: str
    note: str = ""
    href: str = ""
    kind: str = "plain"


@dataclass(frozen=True)
class Box:
    """A node in its place, in pixels."""

    node: Node
    x: float
    y: float
    width: int = _WIDTH
    height: int = _HEIGHT


@dataclass(frozen=True)
class Picture:
    """Boxes, and edges as SVG paths."""

    boxes: tuple[Box, ...]
    edges: tuple[str, ...]
    width: float
    height: float


def layered(nodes: Sequence[Node], links: Sequence[tuple[str, str]]) -> Picture:
    """Place nodes so that links (from, to; keys) run to the right; cycles are drawn backwards."""
    import igraph

    at = {node.key: i for i, node in enumerate(nodes)}
    pairs = [(at[a], at[b]) for a, b in links]
    # an empty graph has no layout
    layout = igraph.Graph(n=len(nodes), edges=pairs, directed=True).layout_sugiyama() if nodes else None
    places = [(layer, row) for row, layer in layout.coords] if layout else []
    bends = [[(y, x) for x, y in points] for points in layout.edge_routing] if layout else []
    lowest = min((row for _, row in [*places, *(p for points in bends for p in points)]), default=0)
    edges = [
        _path([_place(*p, lowest) for p in (places[a], *_ordered(bend, places[a][0]), places[b])])
        for (a, b), bend in zip(pairs, bends, strict=True)
    ]
    boxes = tuple(Box(node, *_place(*place, lowest)) for node, place in zip(nodes, places, strict=True))
    rows = [_place(*p, lowest)[1] for p in [*places, *(p for points in bends for p in points)]]
    width = max((box.x for box in boxes), default=0) + _WIDTH + _MARGIN
    return Picture(boxes, tuple(edges), width, max(rows, default=0) + _HEIGHT + _MARGIN)


def _place(layer: float, row: float, lowest: float) -> tuple[float, float]:
    return _MARGIN + layer * _STEP_X, _MARGIN + (row - lowest) * _STEP_Y


def _ordered(bend: list[tuple[float, float]], start: float) -> list[tuple[float, float]]:
    return sorted(bend, key=lambda p: abs(p[0] - start))


def _path(corners: list[tuple[float, float]]) -> str:
    """A smooth line from the side of the first box to the side of the last, by the corners between."""
    forward = corners[0][0] <= corners[-1][0]
    leave, reach = (_WIDTH, 0) if forward else (0, _WIDTH)
    words = []
    for i, ((x1, y1), (x2, y2)) in enumerate(pairwise(corners)):
        start, end = (x1 + leave, y1 + _HEIGHT / 2), (x2 + reach, y2 + _HEIGHT / 2)
        middle = (start[0] + end[0]) / 2
        words.append(f"{'M' if i == 0 else 'L'}{start[0]:.0f} {start[1]:.0f}")
        words.append(f"C{middle:.0f} {start[1]:.0f} {middle:.0f} {end[1]:.0f} {end[0]:.0f} {end[1]:.0f}")
    return "".join(words)
