"""Nodes of the lineage: a table stands under its name, everything else under its kind and name."""

from boathouse.errors import InvalidInput

KINDS = ("table", "model", "endpoint", "volume", "file", "external")
"""`model:prod.flights.delay`, `endpoint:prod.delay`, `volume:prod.raw.images`, `file:orders.csv`,
`external:NAMESPACE/NAME` of another system's dataset."""

DROPPED = "~"
"""Between the name and the number of something that was dropped: what is made anew under a name has a lineage of its own."""


def kind_of(node: str) -> str:
    """One of `KINDS`."""
    kind, mark, _ = node.partition(":")
    return kind if mark and kind in KINDS else "table"


def name_of(node: str) -> str:
    """The name without its kind and without the mark of something dropped."""
    kind = kind_of(node)
    name = node if kind == "table" else node.partition(":")[2]
    return name if kind in ("file", "external") else name.partition(DROPPED)[0]


def is_dropped(node: str) -> bool:
    """Whether the node is something that was dropped."""
    return kind_of(node) not in ("file", "external") and DROPPED in node


def stands_alone(node: str) -> bool:
    """Whether each version has sources of its own: a table's version also holds what earlier ones wrote."""
    return kind_of(node) == "model"


def number_of(version: str | int | None) -> int | None:
    """A version as a number, where it is one that orders."""
    text = "" if version is None else str(version)
    return int(text) if text.isdigit() and len(text) < 19 else None


def parse_node(node: str) -> str:
    """A node's name as it is kept. Raises InvalidInput for an unknown kind, or a kind without a name."""
    kind, mark, name = node.partition(":")
    if not mark:
        return node
    if kind == "table":
        return name
    if kind not in KINDS or not name:
        raise InvalidInput(f"{node!r} is no node of the lineage: write a table's name, or one of {', '.join(KINDS)} and a name")
    return node


def external(namespace: str, name: str) -> str:
    """The node of another system's dataset."""
    return f"external:{namespace.rstrip('/')}/{name.lstrip('/')}"


def external_parts(node: str) -> tuple[str, str]:
    """(namespace, name) of such a node: a namespace is one word, or `scheme://authority`."""
    text = node.partition(":")[2]
    scheme, mark, rest = text.partition("://")
    if mark:
        authority, _, name = rest.partition("/")
        return f"{scheme}://{authority}", name
    namespace, _, name = text.partition("/")
    return namespace, name
