"""MLflow's words for what the registry finds: filters, orders, page tokens and entities."""

# mypy: allow-untyped-calls

import base64
import binascii
import functools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from mlflow.entities.model_registry import (
    ModelVersion,
    ModelVersionTag,
    RegisteredModel,
    RegisteredModelAlias,
    RegisteredModelTag,
)
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils, SearchUtils

from boathouse.errors import InvalidInput
from boathouse.registry import around
from boathouse.registry.around import Row
from boathouse.registry.search import MODELS_ORDER, PROMPT, VERSIONS_ORDER, By, Condition, Key

_COLUMNS = {
    "source_path": "source", "version_number": "version", "timestamp": "last_updated_time",
    "last_updated_timestamp": "last_updated_time", "creation_timestamp": "creation_time",
}  # fmt: skip
_COMPARISONS = ("=", "!=", "LIKE", "ILIKE")


@functools.lru_cache(maxsize=256)  # whoever turns pages asks each time with the same filter
def conditions(text: str | None, versions: bool) -> tuple[tuple[Condition, ...], bool]:
    """A filter's conditions, and whether it asks for prompts. Raises InvalidInput, and MLflow's errors of syntax."""
    parsed = (SearchModelVersionUtils if versions else SearchModelUtils).parse_search_filter(text)
    found: list[Condition] = []
    prompts = False
    for part in parsed:
        key, comparator, value, is_tag = part["key"], part["comparator"].upper(), part["value"], part["type"] == "tag"
        if is_tag and key == PROMPT:
            prompts = (comparator, value.lower()) in (("=", "true"), ("!=", "false"))
            if not prompts:
                continue
        if is_tag and comparator not in _COMPARISONS:
            raise InvalidInput(f"Invalid comparator for tag: {comparator}")
        if not is_tag and not versions and key != "name":
            raise InvalidInput(f"Invalid attribute name: {key}")
        if key == "version_number":
            value = _whole(value)
        if comparator in ("IN", "NOT IN"):
            value = list(value)
        found.append(Condition(key if is_tag else _COLUMNS.get(key, key), comparator, value, is_tag))
    return tuple(found), prompts


def order(wanted: Sequence[str] | None, versions: bool) -> tuple[By, ...]:
    """A search's order, made total. Raises InvalidInput, and MLflow's errors of syntax."""
    if not wanted:
        return VERSIONS_ORDER if versions else MODELS_ORDER
    found: dict[str, By] = {}
    for text in wanted:
        if versions:
            _, key, ascending = SearchModelVersionUtils.parse_order_by_for_search_model_versions(text)
        else:
            key, ascending = SearchUtils.parse_order_by_for_search_registered_models(text)
        column = _COLUMNS.get(key, key)
        if column in found:
            raise InvalidInput(f"`order_by` contains duplicate fields: {list(wanted)}")
        found[column] = By(column, ascending)
    rest = (By("name"), By("version", False)) if versions else (By("name"),)
    return tuple((found | {by.column: by for by in rest if by.column not in found}).values())


def token(row: Row, by: Sequence[By]) -> str:
    """Where the page after a row begins."""
    return base64.b64encode(json.dumps([row[b.column] for b in by]).encode()).decode()


def key_of(page_token: Any, by: Sequence[By]) -> Key | None:
    """The key in a page token. Raises InvalidInput."""
    if not page_token:
        return None
    try:
        found = json.loads(base64.b64decode(page_token, validate=True))
    except (binascii.Error, UnicodeDecodeError, ValueError):
        found = None
    if not isinstance(found, list) or len(found) != len(by):
        raise InvalidInput("Invalid page token: it comes from no search of this order; begin with the first page")
    return tuple(found)


def version_entities(rows: Iterable[Row]) -> list[Any]:
    """Versions with their `tags`, and with their `aliases` where the rows have them."""
    return [
        ModelVersion(
            r["name"], r["version"], r["creation_time"], r["last_updated_time"], r["description"], r["user_id"],
            r["current_stage"], r["source"], r["run_id"], r["status"], r["status_message"],
            [ModelVersionTag(k, v) for k, v in r["tags"].items()], r["run_link"], r.get("aliases", []),
            workspace=r["workspace"],
        )
        for r in rows
    ]  # fmt: skip


def model_entities(connection: sa.Connection, rows: Sequence[Row]) -> list[Any]:
    """Models with the newest version of each stage, tags and aliases."""
    names = [r["name"] for r in rows]
    labels = around.labels_of(connection, names)
    latest: dict[str, list[Any]] = {}
    for row in around.newest(connection, names):
        latest.setdefault(row["name"], []).append(row)
    return [
        RegisteredModel(
            r["name"], r["creation_time"], r["last_updated_time"], r["description"],
            version_entities(latest.get(r["name"], [])),
            [RegisteredModelTag(k, v) for k, v in labels[r["name"]].tags.items()],
            [RegisteredModelAlias(a, v) for a, v in labels[r["name"]].aliases.items()], workspace=r["workspace"],
        )
        for r in rows
    ]  # fmt: skip


def _whole(value: Any) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise InvalidInput(f"Invalid value for numeric attribute 'version_number': {value!r}") from None
