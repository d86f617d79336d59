"""Operations on tables that the server does in a caller's name, where the caller gets no keys to the files."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from boathouse.catalog.maintenance import vacuum
from boathouse.catalog.service import Catalog
from boathouse.errors import InvalidInput, NotPermitted
from boathouse.identity import Identity
from boathouse.lake import Commit, Frame, Stream

_NOTHING = pa.table({})
_CHANGING = {"append", "overwrite", "merge", "fill", "delete", "update", "restore", "optimize", "checkpoint", "vacuum"}
_WITH_ROWS = {"append", "overwrite", "merge", "fill"}
_READING = {"history", "changes"}
_KNOWING = {"version", "schema", "transaction_version"}
"""What whoever may write needs to know, even without reading."""

OPERATIONS = tuple(sorted(_CHANGING | _READING | _KNOWING))


def work(catalog: Catalog, identity: Identity, name: str, operation: str, arguments: Mapping[str, Any],
         rows: Stream) -> tuple[Any, Frame]:  # fmt: skip
    """One operation of a DeltaFolder: its answer as JSON can say it, and the rows it gives.

    Raises NotPermitted, NotFound, and InvalidInput for an operation or argument that there is not.
    """
    if operation not in OPERATIONS:
        raise InvalidInput(f"tables know no operation {operation!r}; they know {', '.join(OPERATIONS)}")
    writes = operation in _CHANGING or (operation in _KNOWING and not catalog.access.allows(identity, "SELECT", "table", name))
    granted = catalog.granted(identity, name, ("MODIFY",) if writes else ("SELECT",))
    if operation == "changes" and (granted.info.masks or granted.info.row_filter):
        raise NotPermitted(f"{name} has masks or a filter: it is read through the server, which gives no change rows")
    folder = catalog.folder(granted.info)
    given = {**arguments}
    if given.get("transaction"):
        given["transaction"] = tuple(given["transaction"])
    try:
        if operation == "vacuum":
            return json.loads(json.dumps(vacuum(catalog, identity, name, **given).to_dict())), _NOTHING
        found = getattr(folder, operation)(*([rows] if operation in _WITH_ROWS else []), **given)
    except TypeError as error:
        raise InvalidInput(f"{operation} of {name}: {error}") from error
    if isinstance(found, pa.Schema):
        return None, found.empty_table()
    if isinstance(found, Stream):
        return None, found
    answer = asdict(found) if isinstance(found, Commit) else found
    return json.loads(json.dumps(answer, default=str)), _NOTHING
