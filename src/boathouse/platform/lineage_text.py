"""Lineage as text that other programs draw: Graphviz's DOT and Mermaid."""

import json

from boathouse.catalog import GraphNode, LineageGraph

_SHAPES = {"model": "hexagon", "endpoint": "cds", "volume": "folder", "file": "note", "external": "box3d", "hidden": "box"}
_BRACKETS = {"model": ("{{", "}}"), "endpoint": (">", "]"), "volume": ("[(", ")]"), "file": ("[/", "/]"),
             "external": ("[[", "]]")}  # fmt: skip


def to_dot(graph: LineageGraph) -> str:
    """For Graphviz: `boathouse lineage NAME --dot | dot -Tsvg`."""
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif", fontsize=10];']
    for node in graph.nodes:
        looks = [f"label={_quoted(_label(node))}", f"shape={_SHAPES.get(node.kind, 'box')}"]
        looks += ["style=dashed"] if node.hidden else ["style=bold"] if node.key == graph.start else []
        lines.append(f"  {_quoted(node.key)} [{', '.join(looks)}];")
    for edge in graph.edges:
        looks = [f"label={_quoted(edge.job)}"] if edge.job else []
        looks += ["style=dashed"] if edge.how == "inferred" else []
        lines.append(f"  {_quoted(edge.source)} -> {_quoted(edge.target)}{f' [{chr(44).join(looks)}]' if looks else ''};")
    return "\n".join([*lines, "}", ""])


def to_mermaid(graph: LineageGraph) -> str:
    """For Mermaid, as Markdown on GitHub and GitLab draws it."""
    number = {node.key: f"n{i}" for i, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        opened, closed = _BRACKETS.get(node.kind, ("[", "]"))
        label = _label(node).replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace("\n", "<br>")
        lines.append(f'  {number[node.key]}{opened}"{label}"{closed}')
    for edge in graph.edges:
        arrow = "-.->" if edge.how == "inferred" else "-->"
        lines.append(f"  {number[edge.source]} {arrow} {number[edge.target]}")
    return "\n".join([*lines, ""])


def _label(node: GraphNode) -> str:
    if node.hidden:
        return node.name
    note = " ".join(filter(None, (node.kind if node.kind != "table" else "", f"v{node.version}" if node.version else "",
                                  "(dropped)" if node.dropped else "")))  # fmt: skip
    return f"{node.name}\n{note}" if note else node.name


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
