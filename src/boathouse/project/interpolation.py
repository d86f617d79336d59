"""References in a project file: `${var.x}`, `${bundle.target}`, `${resources.jobs.j.id}` and their like."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from boathouse.errors import InvalidBundle
from boathouse.project.located import Node, Step

_REFERENCE = re.compile(r"\$\{([A-Za-z_][\w-]*(?:\.[\w-]+|\[\d+\])+)\}")
_STEP = re.compile(r"[\w-]+|\[\d+\]")
_ID_OF = {
    "jobs": "{key}", "registered_models": "{schema_name}.{name}", "schemas": "{name}",
    "volumes": "{schema_name}.{name}", "tables": "{schema_name}.{name}", "experiments": "{name}",
    "model_serving_endpoints": "{name}",
    "quality_monitors": "{key}", "alerts": "{key}",
}  # fmt: skip


@dataclass(frozen=True)
class Scope:
    """What references can name.

    `tree` is a mapping of `bundle`, `var`, `workspace` and `resources`; `unset` explains variables without a
    value. A resource's `.id` is what it is called in its environment: a job's key, a model's `schema.name`.
    """

    tree: Node
    unset: Mapping[str, str]

    def resolve(self, node: Node, trail: tuple[str, ...] = ()) -> Node:
        """The node with every reference in it replaced. Raises InvalidBundle for an unknown one or a circle.

        A value that is a reference and nothing else keeps the type of what it names.
        """
        if isinstance(node.value, dict):
            return replace(node, value={key: self.resolve(child, trail) for key, child in node.value.items()})
        if isinstance(node.value, list):
            return replace(node, value=[self.resolve(child, trail) for child in node.value])
        if not isinstance(node.value, str) or "${" not in node.value:
            return node
        if whole := _REFERENCE.fullmatch(node.value):
            found = self._named(whole[1], node, trail)
            return replace(found, file=node.file, line=node.line)
        text = _REFERENCE.sub(lambda match: self._text(match[1], node, trail), node.value)
        return replace(node, value=text)

    def _text(self, name: str, user: Node, trail: tuple[str, ...]) -> str:
        value = self._named(name, user, trail).value
        if isinstance(value, dict | list):
            raise InvalidBundle(f"{user.where}: ${{{name}}} is not one value and cannot stand inside a text")
        if isinstance(value, bool):
            return str(value).lower()
        return "" if value is None else str(value)

    def _named(self, name: str, user: Node, trail: tuple[str, ...]) -> Node:
        if name in trail:
            circle = " -> ".join(f"${{{step}}}" for step in (*trail[trail.index(name) :], name))
            raise InvalidBundle(f"{user.where}: references form a circle: {circle}")
        return self.resolve(self._look_up(name, user), (*trail, name))

    def _look_up(self, name: str, user: Node) -> Node:
        steps: list[Step] = [int(s[1:-1]) if s[0] == "[" else s for s in _STEP.findall(name)]
        node = self.tree
        for position, step in enumerate(steps):
            if steps[0] == "resources" and position == 3 and step == "id" and len(steps) == 4:
                return self._identity(steps, node, user)
            found = node.find([step])
            if found is node:
                raise InvalidBundle(self._unknown(name, steps[: position + 1], node, user))
            node = found
        return node

    def _identity(self, steps: list[Step], resource: Node, user: Node) -> Node:
        names = {
            key: str(child.value) for key, child in resource.mapping.items() if isinstance(child.value, str)
        }
        try:
            return Node(_ID_OF[str(steps[1])].format(**{**names, "key": steps[2]}), user.file, user.line)
        except KeyError as error:
            spot = ".".join(map(str, steps[:3]))
            raise InvalidBundle(f"{user.where}: {spot} has no id, for it has no {error.args[0]}") from error

    def _unknown(self, name: str, steps: list[Step], above: Node, user: Node) -> str:
        wrong = str(steps[-1])
        if steps[0] == "var" and wrong in self.unset:
            return f"{user.where}: ${{{name}}}: {self.unset[wrong]}"
        near = get_close_matches(wrong, above.mapping, 1)
        known = ", ".join(above.mapping) or "nothing"
        hint = f"did you mean '{near[0]}'?" if near else f"known there: {known}"
        return f"{user.where}: ${{{name}}} names nothing: '{wrong}' is not known; {hint}"


def as_node(value: Any) -> Node:
    """Plain values as nodes without a place."""
    if isinstance(value, Node):
        return value
    if isinstance(value, Mapping):
        return Node({key: as_node(child) for key, child in value.items()})
    return Node([as_node(child) for child in value]) if isinstance(value, list | tuple) else Node(value)
