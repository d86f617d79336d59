"""Where boxes of a graph stand: igraph gives layers and their order, then every box is pulled level with its neighbours.

igraph knows no sizes. So within each layer the order is kept, and the places are those with the least squared distance
to the neighbours' while nothing overlaps: a regression under order constraints, solved exactly by pooling.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_PASSES = 8
_BEND = 6.0
"""Room that a line which only passes through a layer takes, in pixels."""


@dataclass(frozen=True)
class Layers:
    """For each node its (layer, centre in pixels); for each link the points at which it passes layers between."""

    places: tuple[tuple[int, float], ...]
    routes: tuple[tuple[tuple[int, float], ...], ...]
    height: float


@dataclass
class _Item:
    """A node, or a bend of a link, in its layer."""

    layer: int
    order: float
    size: float
    near: list[tuple["_Item", float]]
    centre: float = 0.0


def arrange(sizes: Sequence[float], links: Sequence[tuple[int, int]], gap: float) -> Layers:
    """Layers for boxes of these heights; links run from lower to higher layers, save those that close a circle."""
    import igraph

    if not sizes:
        return Layers((), tuple(() for _ in links), 0.0)
    drawn = igraph.Graph(n=len(sizes), edges=list(links), directed=True).layout_sugiyama()
    nodes = [_Item(round(layer), order, size, []) for (order, layer), size in zip(drawn.coords, sizes, strict=True)]
    bends = [
        [_Item(round(layer), order, _BEND, []) for order, layer in points] for points in drawn.edge_routing
    ]
    for (a, b), points in zip(links, bends, strict=True):
        points.sort(key=lambda p: p.layer, reverse=nodes[a].layer > nodes[b].layer)
        for one, other in pairwise([nodes[a], *points, nodes[b]]):
            straight = 4.0 if points and one.size == other.size == _BEND else 1.0
            one.near.append((other, straight))
            other.near.append((one, straight))
    _level([*nodes, *(p for points in bends for p in points)], gap)
    routes = tuple(tuple((p.layer, p.centre) for p in points) for points in bends)
    height = max(item.centre + item.size / 2 for item in nodes)
    height = max([height, *(p[1] for route in routes for p in route)])
    return Layers(tuple((n.layer, n.centre) for n in nodes), routes, height)


def _level(items: Sequence[_Item], gap: float) -> None:
    layers: dict[int, list[_Item]] = {}
    for item in sorted(items, key=lambda i: i.order):
        layers.setdefault(item.layer, []).append(item)
    for layer in layers.values():
        _pool(layer, [0.0] * len(layer), gap)
    forth = [layers[key] for key in sorted(layers)]
    for turn in range(_PASSES):
        for layer in forth if turn % 2 == 0 else reversed(forth):
            _pool(layer, [_wanted(item) for item in layer], gap)
    top = min(item.centre - item.size / 2 for item in items)
    for item in items:
        item.centre -= top


def _wanted(item: _Item) -> float:
    weight = sum(w for _, w in item.near)
    return sum(other.centre * w for other, w in item.near) / weight if weight else item.centre


def _pool(layer: Sequence[_Item], wanted: Sequence[float], gap: float) -> None:
    """The places nearest to the wanted ones that keep order and distance: neighbours that would overlap move as one."""
    offset, offsets = 0.0, []
    for before, item in zip([None, *layer], layer, strict=False):
        if before is not None:
            offset += (before.size + item.size) / 2 + (gap if _BEND not in (before.size, item.size) else gap / 2)
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []
    for place, moved in zip(wanted, offsets, strict=True):
        mean, count = place - moved, 1
        while blocks and blocks[-1][0] > mean:
            other, number = blocks.pop()
            mean, count = (mean * count + other * number) / (count + number), count + number
        blocks.append((mean, count))
    means = [mean for mean, count in blocks for _ in range(count)]
    for item, mean, moved in zip(layer, means, offsets, strict=True):
        item.centre = mean + moved
