"""Lineage as a picture and as lists; what the caller may not see is a box without a name."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from boathouse.catalog import LineageEdge
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.ui import sight
from boathouse.server.ui.graph import Node, Picture, layered

_MOST = 80


@dataclass(frozen=True)
class Family:
    """Where something comes from and what is made of it."""

    picture: Picture
    up: tuple[LineageEdge, ...]
    down: tuple[LineageEdge, ...]
    hidden: int
    cut: bool


def family(who: Identity, platform: Platform, name: str) -> Family:
    """The lineage of a node, both ways."""
    up, down = platform.lineage.edges(name), platform.lineage.edges(name, "down")
    names = {n for edge in (*up, *down) for n in (edge.source, edge.target)} | {name}
    hidden = {n: f"hidden {i}" for i, n in enumerate(sorted(names)) if not sight.node(who, platform, n)}
    up, down = _veiled(up, hidden), _veiled(down, hidden)
    edges = list({(e.source, e.target): e for e in (*up, *down)}.values())
    cut = len(edges) > _MOST
    shown = _nearest(name, edges) if cut else edges
    versions = {edge.target: edge.target_version for edge in shown}
    versions |= {edge.source: edge.source_version for edge in shown if not versions.get(edge.source)}
    keys = dict.fromkeys(n for edge in shown for n in (edge.source, edge.target)) or {name: None}
    nodes = [_node(key, versions.get(key), key == name) for key in keys]
    picture = layered(nodes, [(e.source, e.target) for e in shown])
    return Family(picture, tuple(up), tuple(down), len(hidden), cut)


def href(name: str) -> str:
    """The page of a node; none for what is hidden."""
    kind, mark, rest = name.partition(":")
    if mark:
        return f"/models/{rest}" if kind == "model" else f"/endpoints/{rest.replace('.', '/', 1)}"
    return f"/tables/{name}" if name.count(".") == 2 else ""


def _veiled(edges: Iterable[LineageEdge], hidden: dict[str, str]) -> list[LineageEdge]:
    return [
        replace(e, source=hidden.get(e.source, e.source), target=hidden.get(e.target, e.target))
        for e in edges
    ]


def _nearest(name: str, edges: list[LineageEdge]) -> list[LineageEdge]:
    """The edges closest to a node, as many as can be read."""
    found: dict[tuple[str, str], LineageEdge] = {}
    reached, frontier = {name}, {name}
    while frontier and len(found) < _MOST:
        near = [e for e in edges if e.source in frontier or e.target in frontier]
        found |= {(e.source, e.target): e for e in near if len(found) < _MOST}
        frontier = {n for e in near for n in (e.source, e.target)} - reached
        reached |= frontier
    return list(found.values())[:_MOST]


def _node(name: str, version: str | None, focus: bool) -> Node:
    kind, mark, rest = name.partition(":")
    hidden = not href(name)
    environment, _, title = (rest if mark else name).partition(".")
    if hidden:
        return Node(name, "hidden", "you may not see this", "", "hidden")
    note = " · ".join(
        filter(None, (environment, kind if mark else "", f"version {version}" if version else ""))
    )
    return Node(name, title, note, href(name), "focus" if focus else kind if mark else "table")
