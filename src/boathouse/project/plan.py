"""The difference between what is deployed and what a project wants, and how people read it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from boathouse.errors import Conflict
from boathouse.project.located import item_name
from boathouse.project.resources import KINDS

Action = Literal["create", "change", "delete", "same"]
_SIGNS: Mapping[Action, str] = {"create": "+", "change": "~", "delete": "-", "same": " "}
_ORDER = tuple(KINDS.values())
_LONGEST_VALUE = 60


class ResourceState(NamedTuple):
    """A deployed resource."""

    kind: str
    key: str
    definition: Mapping[str, Any]


class FieldChange(NamedTuple):
    """One value that differs; None on the side where it is not set."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Change:
    """What a deployment does to one resource; `fields` say what is different, for `change` only."""

    action: Action
    kind: str
    key: str
    fields: tuple[FieldChange, ...] = ()


Named = tuple[str, str, Mapping[str, Any]]
"""(kind, key, definition)."""


def plan(current: Iterable[Named], wanted: Iterable[Named]) -> list[Change]:
    """What deploying `wanted` over `current` does: in the order of making, deletions last and in reverse.

    Raises Conflict when it would delete a resource whose `lifecycle.prevent_destroy` is set.
    """
    before = {(kind, key): definition for kind, key, definition in current}
    after = {(kind, key): definition for kind, key, definition in wanted}
    kept = [_compared(kind, key, before.get((kind, key)), after[kind, key]) for kind, key in _ordered(after)]
    gone = [name for name in _ordered(before) if name not in after]
    for kind, key in gone:
        if (before[kind, key].get("lifecycle") or {}).get("prevent_destroy"):
            raise Conflict(
                f"{kind} {key} has lifecycle.prevent_destroy and is no longer in the project: "
                "put it back, or deploy once without that setting"
            )
    return kept + [Change("delete", kind, key) for kind, key in reversed(gone)]


def render(changes: Iterable[Change]) -> str:
    """A plan as text: one line a resource that is touched, its fields below, and a summary."""
    listed = list(changes)
    touched = [line for change in listed if change.action != "same" for line in _lines(change)]
    count = {action: sum(change.action == action for change in listed) for action in _SIGNS}
    summary = (
        f"{count['create']} to create, {count['change']} to change, {count['delete']} to delete, "
        f"{count['same']} unchanged"
    )
    return "\n".join([*touched, summary])


def differences(old: Any, new: Any, path: str = "") -> Iterator[FieldChange]:
    """Where two JSON values differ. Items of a list that have a name are compared by it."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list) and (names := _named(old, new)):
        before, after = names
        for name in dict.fromkeys([*before, *after]):
            yield from differences(before.get(name), after.get(name), f"{path}[{name}]")
        common = [[name for name in side if name in before and name in after] for side in names]
        if common[0] != common[1]:
            yield FieldChange(f"{path} (order)", common[0], common[1])
    elif old != new:
        yield FieldChange(path, old, new)


def _compared(kind: str, key: str, old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Change:
    if old is None:
        return Change("create", kind, key)
    # Stored definitions have been through JSON; compare like with like.
    fields = tuple(differences(json.loads(json.dumps(old)), json.loads(json.dumps(new))))
    return Change("change" if fields else "same", kind, key, fields)


def _ordered(names: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    known = {kind: position for position, kind in enumerate(_ORDER)}
    return sorted(names, key=lambda name: (known.get(name[0], len(known)), name))


def _named(old: list[Any], new: list[Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Both lists by the names of their items, where every item has one of its own."""
    sides = []
    for side in (old, new):
        names = [item_name(item) for item in side]
        if None in names or len(set(names)) != len(names):
            return None
        sides.append({str(name): item for name, item in zip(names, side, strict=True)})
    return sides[0], sides[1]


def _lines(change: Change) -> Iterator[str]:
    yield f"{_SIGNS[change.action]} {change.kind} {change.key}"
    for field in change.fields:
        yield f"    {field.path}: {_shown(field.old)} -> {_shown(field.new)}"


def _shown(value: Any) -> str:
    if value is None:
        return "(not set)"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
