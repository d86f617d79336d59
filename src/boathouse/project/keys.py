"""Which keys a project file may have: unknown ones are errors, known ones without a meaning here are told with their place."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from boathouse.project.located import ITEM_KEYS, Node
from boathouse.project.shape import Resource, Shape

_HINTS = {
    "artifacts": "build wheels before the deployment, or import the project's modules as they are",
    "clusters": "tasks run where Boathouse runs",
    "git_source_info": "each run records its commit",
    "pipelines": "write the pipeline as a job",
    "python": "resources that Python code makes are not read: write them as YAML",
    "secret_scopes": "`boathouse secrets put SCOPE/KEY` makes them",
    "sync": "a deployment takes the commit's files",
    "warehouse_id": "SQL runs where Boathouse runs",
    "catalog_name": "the environment is the catalog",
    "workspace": "the installation is the workspace",
    "models": "use registered_models",
    "lookup": "give the variable a value",
    "job_cluster_key": "tasks run where Boathouse runs",
    "job_clusters": "tasks run where Boathouse runs",
    "new_cluster": "tasks run where Boathouse runs",
    "existing_cluster_id": "tasks run where Boathouse runs",
}


@dataclass(frozen=True)
class Sifted:
    """A tree without what has no meaning here, the texts about that, and what is wrong."""

    node: Node
    ignored: tuple[str, ...]
    problems: tuple[str, ...]


def sift(node: Node, shape: type) -> Sifted:
    """Hold a tree against a shape."""
    sieve = _Sieve()
    kept = sieve.keep(node, shape, "")
    return Sifted(kept, tuple(dict.fromkeys(sieve.ignored)), tuple(sieve.problems))


class _Sieve:
    def __init__(self) -> None:
        self.ignored: list[str] = []
        self.problems: list[str] = []

    def keep(self, node: Node, wanted: Any, path: str) -> Node:
        """The node without unsupported keys, at any depth that the shape knows."""
        inner = _unwrapped(wanted)
        origin, arguments = get_origin(inner), get_args(inner)
        if origin is dict and isinstance(node.value, dict):
            entries = {key: (child, _join(path, key)) for key, child in node.value.items()}
            kept = {key: self.keep(child, arguments[1], spot) for key, (child, spot) in entries.items()
                    if not (_is_resource(arguments[1]) and self._left_out(child, arguments[1], spot))}  # fmt: skip
            return replace(node, value=kept)
        if origin in (tuple, list) and isinstance(node.value, list):
            items = [(child, f"{path}[{_name(child, i)}]") for i, child in enumerate(node.value)]
            return replace(node, value=[self.keep(child, arguments[0], spot) for child, spot in items
                                        if not self._left_out(child, arguments[0], spot)])  # fmt: skip
        if isinstance(node.value, dict) and (known := known_keys(inner)):
            return replace(node, value=dict(self._entries(node.value, inner, known, path)))
        return node

    def _left_out(self, node: Node, wanted: Any, spot: str) -> bool:
        """Whether an entry says nothing but what is not supported: then it is no entry without its keys, but none."""
        keys = set(node.mapping)
        if not keys or not keys <= getattr(_unwrapped(wanted), "unsupported", frozenset()):
            return False
        self.ignored.append(f"{node.where}: {spot} is not supported and left out: it has {', '.join(sorted(keys))}")
        return True

    def _entries(
        self, entries: Mapping[str, Node], shape: Any, known: Mapping[str, Any], path: str
    ) -> Iterator[tuple[str, Node]]:
        unsupported: frozenset[str] = getattr(shape, "unsupported", frozenset())
        essential: frozenset[str] = getattr(shape, "essential", frozenset())
        for key, child in entries.items():
            spot = _join(path, key)
            if key in known:
                yield key, self.keep(child, known[key], spot)
            elif key in unsupported:
                hint = f": {_HINTS[key]}" if key in _HINTS else ""
                self.ignored.append(f"{child.where}: {spot} is not supported and ignored{hint}")
            elif key in essential:
                self.problems.append(f"{child.where}: {spot} is not supported, and nothing is left without it: {_instead(shape)}")
            elif path or not child.anchored:
                near = get_close_matches(key, [*known, *unsupported], 1, 0.5)
                hint = f"did you mean '{near[0]}'?" if near else f"the keys here are {', '.join(known)}"
                self.problems.append(f"{child.where}: {spot}: unknown key; {hint}")


def _is_resource(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, Resource)


def _instead(shape: Any) -> str:
    return f"take one of {', '.join(key for key in known_keys(shape) if key.endswith('_task'))}"


@cache
def known_keys(shape: Any) -> dict[str, Any]:
    """The keys of a model or a dataclass and what belongs under each; none for anything else."""
    if isinstance(shape, type) and issubclass(shape, Shape):
        kinds = get_type_hints(shape, include_extras=True)  # unlike pydantic's own, with names of later classes resolved
        return {field.alias or name: kinds[name] for name, field in shape.model_fields.items()}
    if isinstance(shape, type) and is_dataclass(shape):
        return {field.name: field.type for field in fields(shape)}
    return {}


def _unwrapped(wanted: Any) -> Any:
    """The one shape inside `Annotated` and `… | None`."""
    if get_origin(wanted) is Annotated:
        return _unwrapped(get_args(wanted)[0])
    if get_origin(wanted) in (Union, UnionType):
        inner = [_unwrapped(part) for part in get_args(wanted) if part is not type(None)]
        return next((part for part in inner if known_keys(part) or get_origin(part)), inner[0])
    return wanted


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _name(node: Node, position: int) -> str:
    named = (node.mapping[key].value for key in ITEM_KEYS if key in node.mapping)
    return str(next((name for name in named if isinstance(name, str)), position))
