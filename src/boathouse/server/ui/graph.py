"""Graphs drawn from left to right: boxes with a title, a note and rows, and lines that lead around what is between."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from boathouse.server.ui.layering import arrange

WIDTH, HEAD, ROW = 214, 44, 20
_STEP, _GAP, _MARGIN = WIDTH + 66, 18.0, 8
_PAD = 6
"""Below the last row."""


@dataclass(frozen=True)
class Row:
    """A line inside a box that links can start from and lead to."""

    key: str
    text: str
    href: str = ""


@dataclass(frozen=True)
class Node:
    """A box: its title, a note below, where it leads, a word for its looks, and rows.

    `said` is what hovering and screen readers tell; `open_href` leads to the same picture with the rows shown,
    or, where they are, without them; `mark` is a word for a spot in the corner.
    """

    key: str
    title: str
    note: str = ""
    href: str = ""
    kind: str = "plain"
    rows: tuple[Row, ...] = ()
    said: str = ""
    open_href: str = ""
    mark: str = ""
    env: str = ""

    @property
    def height(self) -> int:
        """Pixels."""
        return HEAD + len(self.rows) * ROW + (_PAD if self.rows else 0)


@dataclass(frozen=True)
class Link:
    """A line from a node, or a row of it, to another; `kind` is for its looks, `said` for hovering."""

    source: str
    target: str
    kind: str = ""
    said: str = ""
    source_row: str | None = None
    target_row: str | None = None


@dataclass(frozen=True)
class Box:
    """A node in its place, in pixels."""

    node: Node
    x: float
    y: float
    width: int = WIDTH

    @property
    def height(self) -> int:
        """Pixels."""
        return self.node.height

    def level(self, row: str | None) -> float:
        """The height at which a line meets the box, or one of its rows."""
        for i, each in enumerate(self.node.rows):
            if each.key == row:
                return self.y + HEAD + (i + 0.5) * ROW
        return self.y + HEAD / 2


@dataclass(frozen=True)
class Line:
    """A link as an SVG path."""

    link: Link
    path: str


@dataclass(frozen=True)
class Picture:
    """Boxes and lines."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: float
    height: float


def layered(nodes: Sequence[Node], links: Sequence[Link | tuple[str, str]]) -> Picture:
    """Place nodes so that links run to the right; those that close a circle are drawn backwards."""
    given = [link if isinstance(link, Link) else Link(*link) for link in links]
    at = {node.key: i for i, node in enumerate(nodes)}
    pairs = list(dict.fromkeys((at[link.source], at[link.target]) for link in given))
    layers = arrange([float(node.height) for node in nodes], pairs, _GAP)
    boxes = {
        node.key: Box(node, _MARGIN + layer * _STEP, round(_MARGIN + centre - node.height / 2, 1))
        for node, (layer, centre) in zip(nodes, layers.places, strict=True)
    }
    routes = dict(zip(pairs, layers.routes, strict=True))
    lines = tuple(Line(link, _path(link, boxes, routes[at[link.source], at[link.target]])) for link in given)
    width = max((box.x for box in boxes.values()), default=0) + WIDTH + _MARGIN
    return Picture(tuple(boxes.values()), lines, width, layers.height + 2 * _MARGIN)


def _path(link: Link, boxes: Mapping[str, Box], route: Sequence[tuple[int, float]]) -> str:
    """A smooth line from the side of the first box to the side of the last; level where it passes a layer."""
    source, target = boxes[link.source], boxes[link.target]
    forward = source.x <= target.x
    start = (source.x + (WIDTH if forward else 0), source.level(link.source_row))
    end = (target.x + (0 if forward else WIDTH), target.level(link.target_row))
    points = [start]
    for layer, centre in route:
        left = _MARGIN + layer * _STEP
        sides = (left, left + WIDTH) if forward else (left + WIDTH, left)
        points += [(side, _MARGIN + centre) for side in sides]
    points.append(end)
    words = [f"M{start[0]:.0f} {start[1]:.1f}"]
    for number, ((x1, y1), (x2, y2)) in enumerate(pairwise(points)):
        if number % 2:
            words.append(f"H{x2:.0f}")
        else:
            middle = (x1 + x2) / 2
            words.append(f"C{middle:.0f} {y1:.1f} {middle:.0f} {y2:.1f} {x2:.0f} {y2:.1f}")
    return "".join(words)
