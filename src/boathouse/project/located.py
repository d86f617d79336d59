"""YAML that remembers where it stands: every value with its file and line, merged the way bundles merge."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from boathouse.errors import InvalidBundle

MOST_NODES = 100_000
# Lists of bundle YAML whose items have a name of their own: same name, same item.
ITEM_KEYS = ("task_key", "environment_key", "job_cluster_key", "served_entity_name", "name", "principal")
_MERGED_BY_KEY = {
    "tasks": "task_key", "parameters": "name", "environments": "environment_key",
    "job_clusters": "job_cluster_key", "served_entities": "name", "routes": "served_entity_name",
}  # fmt: skip
_MERGE_TAG = "tag:yaml.org,2002:merge"

Step = str | int
Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Node:
    """A value (a mapping and a sequence hold nodes), the file it stands in and its line there, from 1."""

    value: "Scalar | dict[str, Node] | list[Node]"
    file: str = ""
    line: int = 0
    anchored: bool = False

    @property
    def where(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"

    @property
    def mapping(self) -> "dict[str, Node]":
        """Its entries, none where it is no mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> "list[Node]":
        """Its items, none where it is no sequence."""
        return self.value if isinstance(self.value, list) else []

    def child(self, key: str) -> "Node":
        """The entry of that key, or nothing (None) at this place."""
        return self.mapping.get(key, Node(None, self.file, self.line))

    def without(self, *keys: str) -> "Node":
        """The mapping with fewer entries."""
        return replace(self, value={key: child for key, child in self.mapping.items() if key not in keys})

    def plain(self) -> Any:
        """The value alone."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        return [child.plain() for child in self.value] if isinstance(self.value, list) else self.value

    def find(self, path: Sequence[Step]) -> "Node":
        """The node at a path, or the last one on the way that there is."""
        node = self
        for step in path:
            child = node.mapping.get(str(step))
            if child is None and isinstance(step, int) and step < len(node.items):
                child = node.items[step]
            if child is None:
                break
            node = child
        return node


def read(path: Path, file: str) -> Node:
    """A YAML file; `file` is its name in messages. An empty file is an empty mapping.

    Plain scalars follow YAML 1.2: `no`, `on`, 10:30 and 2013-01-01 are text. Raises InvalidBundle.
    """
    written = path.read_bytes()
    try:
        root = _Loader(written.decode("utf-8")).get_single_node()
    except UnicodeDecodeError as error:
        line = written.count(b"\n", 0, error.start) + 1
        raise InvalidBundle(f"{file}:{line}: this is not UTF-8 text; save the file as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        hint = "; YAML is indented with spaces, not with tabs" if "'\\t'" in str(error.problem) else ""
        raise InvalidBundle(f"{file}:{line}: this is not valid YAML: {error.problem}{hint}") from error
    except yaml.YAMLError as error:
        raise InvalidBundle(f"{file}: this is not valid YAML: {error}") from error
    if root is None:
        return Node({}, file, 1)
    node = _Reader(file).node(root)
    if not isinstance(node.value, dict):
        raise InvalidBundle(
            f"{node.where}: a project file is a mapping of keys such as 'bundle' and 'resources'"
        )
    return node


def merge(base: Node, over: Node, name: str = "") -> Node:
    """`over` laid on `base`: mappings merge, lists join (items of one key merge), others are replaced."""
    if over.value is None and isinstance(base.value, dict | list):
        return base
    if isinstance(base.value, dict) and isinstance(over.value, dict):
        merged = dict(base.value)
        for key, child in over.value.items():
            merged[key] = merge(merged[key], child, key) if key in merged else child
        return replace(base, value=merged)
    if isinstance(base.value, list) and isinstance(over.value, list):
        return replace(base, value=_joined(base.value, over.value, _MERGED_BY_KEY.get(name)))
    return over


def item_name(item: Any) -> str | None:
    """What a plain item of a list is called, where it has a name of its own."""
    if isinstance(item, dict):
        return next((str(item[key]) for key in ITEM_KEYS if isinstance(item.get(key), str)), None)
    return None


def spelled(root: Node, path: Sequence[Step]) -> str:
    """A path as people write it: `resources.jobs.training.tasks[train].run_if`."""
    text, node = "", root
    for step in path:
        node = node.find([step])
        if isinstance(step, int):
            text += f"[{item_name(node.plain()) or step}]"
        else:
            text += f".{step}" if text else step
    return text


def _joined(base: list[Node], over: list[Node], key: str | None) -> list[Node]:
    joined = list(base)
    for item in over:
        names = [n.mapping[key].value if key and key in n.mapping else None for n in joined]
        own = item.mapping[key].value if key and key in item.mapping else None
        if own is not None and own in names:
            joined[names.index(own)] = merge(joined[names.index(own)], item)
        else:
            joined.append(item)
    return joined


class _Loader(yaml.SafeLoader):
    """Keeps which nodes carry an anchor: at the top of a file those are parts for reuse, not settings."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own attribute

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        if node is not None and not isinstance(event, yaml.AliasEvent):
            node.anchored = getattr(event, "anchor", None) is not None  # type: ignore[attr-defined]
        return node


def _resolvers() -> Iterator[tuple[str, str, str]]:
    yield "null", r"^(?:~|null|Null|NULL|)$", "~nN\0"
    yield "bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"
    yield "int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"
    yield "float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"
    yield "merge", r"^<<$", "<"


def _install(loader: type[_Loader]) -> None:
    import re

    for name, pattern, first in _resolvers():
        letters = ["" if letter == "\0" else letter for letter in first]
        loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(pattern), letters)


_install(_Loader)


class _Reader:
    """Turns YAML's nodes into ours; aliases are written out, so their number is limited."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._count = 0

    def node(self, node: Any, line: int | None = None, above: tuple[int, ...] = ()) -> Node:
        own_line = line or node.start_mark.line + 1
        self._count += 1
        if self._count > MOST_NODES or id(node) in above:
            raise InvalidBundle(f"{self._file}:{own_line}: an alias repeats too much, or itself")
        inside = (*above, id(node))
        value: Any
        if isinstance(node, yaml.MappingNode):
            value = self._mapping(node, inside)
        elif isinstance(node, yaml.SequenceNode):
            value = [self.node(child, None, inside) for child in node.value]
        else:
            value = self._scalar(node)
        return Node(value, self._file, own_line, bool(getattr(node, "anchored", False)))

    def _mapping(self, node: Any, above: tuple[int, ...]) -> dict[str, Node]:
        own: dict[str, Node] = {}
        inherited: dict[str, Node] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            if key.tag == _MERGE_TAG:
                for part in child.value if isinstance(child, yaml.SequenceNode) else [child]:
                    inherited = {**self.node(part, None, above).mapping, **inherited}
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise InvalidBundle(f"{self._file}:{line}: a key must be a word, not a list or a mapping")
            if key.value in own:
                raise InvalidBundle(f"{self._file}:{line}: key {key.value!r} stands twice in one mapping")
            own[key.value] = self.node(child, line, above)
        return {**{key: child for key, child in inherited.items() if key not in own}, **own}

    def _scalar(self, node: Any) -> Scalar:
        text = str(node.value)
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text)
            case "float":
                return float(text)
        raise InvalidBundle(
            f"{self._file}:{node.start_mark.line + 1}: YAML tag {node.tag!r} is not supported"
        )
