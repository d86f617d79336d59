"""Operations on tables that the server does in a caller's name, where the caller gets no keys to the files."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from boathouse.catalog.expectations import Gate
from boathouse.catalog.maintenance import vacuum
from boathouse.catalog.service import Catalog
from boathouse.catalog.values import TableInfo
from boathouse.errors import InvalidInput, NotPermitted
from boathouse.identity import Identity
from boathouse.lake import Commit, DeltaFolder, Frame, Stream, batches

_NOTHING = pa.table({})
_CHANGING = {"append", "overwrite", "merge", "fill", "delete", "update", "restore", "optimize", "checkpoint", "vacuum"}
_CHECKING = {"quarantine", "note_checks"}
_WITH_ROWS = {"append", "overwrite", "merge", "fill"}
_CHECKED = {"append", "overwrite", "merge", "fill", "update"}
_REPLACING = {"overwrite", "restore"}
"""What may bring other columns."""
_READING = {"history", "changes"}
_KNOWING = {"version", "schema", "transaction_version"}
"""What whoever may write needs to know, even without reading."""

OPERATIONS = tuple(sorted(_CHANGING | _CHECKING | _READING | _KNOWING))


def work(catalog: Catalog, identity: Identity, name: str, operation: str, arguments: Mapping[str, Any],
         rows: Stream) -> tuple[Any, Frame]:  # fmt: skip
    """One operation of a DeltaFolder: its answer as JSON can say it, and the rows it gives.

    Raises NotPermitted, NotFound, and InvalidInput for an operation or argument that there is not.
    """
    if operation not in OPERATIONS:
        raise InvalidInput(f"tables know no operation {operation!r}; they know {', '.join(OPERATIONS)}")
    knows = operation in _KNOWING and not catalog.access.allows(identity, "SELECT", "table", name)
    writes = operation in _CHANGING | _CHECKING or knows
    granted = catalog.granted(identity, name, ("MODIFY",) if writes else ("SELECT",))
    if operation == "changes" and (granted.info.masks or granted.info.row_filter):
        raise NotPermitted(f"{name} has masks or a filter: it is read through the server, which gives no change rows")
    folder = catalog.folder(granted.info)
    given = {**arguments}
    if given.get("transaction"):
        given["transaction"] = tuple(given["transaction"])
    if operation in _REPLACING:
        force = bool(given.pop("force", False))
        given["permit"] = lambda columns: catalog.check_columns(identity, name, dict(columns), force)
    try:
        if operation == "vacuum":
            return json.loads(json.dumps(vacuum(catalog, identity, name, **given).to_dict())), _NOTHING
        found: Any = None
        if operation == "quarantine":
            catalog.quarantine.keep(identity, name, batches(rows).read_all(), **given)
        elif operation == "note_checks":
            catalog.quarantine.note(identity, name, **given)
        elif operation in _CHECKED:
            found = _checked(catalog, identity, granted.info, folder, operation, rows, given)
        else:
            found = getattr(folder, operation)(*([rows] if operation in _WITH_ROWS else []), **given)
    except TypeError as error:
        raise InvalidInput(f"{operation} of {name}: {error}") from error
    if isinstance(found, pa.Schema):
        return None, found.empty_table()
    if isinstance(found, Stream):
        return None, found
    answer = asdict(found) if isinstance(found, Commit) else found
    return json.loads(json.dumps(answer, default=str)), _NOTHING


def gate(catalog: Catalog, identity: Identity, info: TableInfo, folder: DeltaFolder) -> Gate:
    """What rows pass that the server writes; whoever calls has authorized MODIFY on the table."""
    return Gate(
        info, folder, lambda rows, batch, number: catalog.quarantine.keep(identity, info.name, rows, batch, number),
        lambda result: catalog.quarantine.note(identity, info.name, result),
    )


def _checked(catalog: Catalog, identity: Identity, info: TableInfo, folder: DeltaFolder, operation: str, rows: Stream,
             given: Mapping[str, Any]) -> Commit:  # fmt: skip
    passing = gate(catalog, identity, info, folder)
    if operation == "fill":
        return passing.fill(rows, **given)
    if operation == "update":
        return passing.update(**given)
    transaction = given.get("transaction")
    marks = {**dict([transaction] if transaction else []), **(given.get("marks") or {})}
    renewed = operation == "overwrite" and bool(given.get("evolve")) and not given.get("where")
    act = getattr(folder, operation)
    keys = given.get("on", ()) if operation == "merge" and given.get("update", True) else ()
    return passing.write(rows, lambda kept: act(kept, **given), marks, given.get("dropping"), renewed, keys)
