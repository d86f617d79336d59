"""What is asked of a monitor that somebody makes by hand: tables that they may read, columns that are there."""

from collections.abc import Iterator, Mapping
from typing import Any

from boathouse.catalog import Catalog
from boathouse.errors import InvalidInput, NotFound
from boathouse.identity import Identity
from boathouse.monitoring import completed, spec_of
from boathouse.names import parse
from boathouse.project import definition, parse_resource

_WATCHED = ("timestamp_col", "prediction_col", "prediction_proba_col", "model_id_col", "label_col")


def checked(catalog: Catalog, identity: Identity, environment: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The monitor's definition.

    Its refreshes run as the environment, so whoever makes it must read all that it names: what it writes tells of it.
    Raises InvalidInput, NotFound, NotPermitted.
    """
    if not name.replace("-", "").replace("_", "").isalnum():
        raise InvalidInput(f"{name!r} is no name of a monitor: letters, digits, - and _")
    wanted = definition(parse_resource("quality_monitor", body))
    whole = completed(wanted, {})
    spec_of(whole)
    watched = str(parse(str(whole["table_name"]), environment))
    if parse(watched).catalog != environment:
        raise InvalidInput(f"a monitor of {environment} watches tables of {environment}, and {watched} is none")
    for table, columns in _asked(whole).items():
        full = str(parse(table, environment))
        if whole.get("model") and full == watched and not catalog.exists("table", full):
            continue  # the first prediction makes it, with the columns that are known
        catalog.access.authorize(identity, "SELECT", "table", full)
        known = {column.name for column in _table(catalog, full).columns}
        if unknown := [c for c in columns if c not in known]:
            raise InvalidInput(f"{full} has no column {unknown[0]!r}; it has {', '.join(sorted(known))}")
    return wanted


def _asked(monitor: Mapping[str, Any]) -> dict[str, list[str]]:
    """The tables that a completed monitor reads -> the columns that it names of each."""
    log, labels = monitor.get("inference_log") or monitor.get("time_series") or {}, monitor.get("labels") or {}
    found: dict[str, list[str]] = {}

    def add(table: Any, columns: Iterator[Any]) -> None:
        named = [str(c) for c in columns if c]
        if odd := [c for c in named if '"' in c]:
            raise InvalidInput(f"{odd[0]} is no name of a column that can be watched")
        found.setdefault(str(table), []).extend(named)

    add(monitor["table_name"], (log.get(c) for c in _WATCHED))
    if labels:
        add(monitor["table_name"], iter(labels["keys"]))
        add(labels["table"], iter((*labels["keys"], labels["label"], labels.get("known_time"))))
    if baseline := monitor.get("baseline_table_name"):
        add(baseline, iter(()))
    return found


def _table(catalog: Catalog, name: str) -> Any:
    if not catalog.exists("table", name):
        raise NotFound(f"there is no table {name} to watch; `boathouse tables list` shows those there are")
    return catalog.table(name)
