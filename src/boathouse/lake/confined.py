"""A table's log names its files, and whoever may write the table writes the log: names must not lead elsewhere.

Delta allows absolute paths, and delta-rs follows them under the keys of whoever asks: a server that did so
would read other people's tables for whoever can write one of their own.
"""

import os
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from boathouse.errors import InvalidInput
from boathouse.lake.frames import batches
from boathouse.lake.storage import local_path

_OUTSIDE = r"(?i)^/|^[a-z][a-z0-9+.-]*:|(^|/|%2f)(\.|%2e){2}(/|%2f|$)|\\|%5c"


def confine(table: DeltaTable) -> None:
    """Raises InvalidInput when a version names a file outside its table's folder, or reaches one by a symbolic link."""
    names = batches(table.get_add_actions()).read_all().column("path")
    confine_names(table.table_uri, names)
    if root := local_path(table.table_uri):
        folder = os.path.realpath(root)
        for name in names.to_pylist():
            path = os.path.join(folder, unquote(name))
            if os.path.realpath(path) != path:
                raise _outside(table.table_uri, name)


def confine_names(place: str, names: pa.ChunkedArray) -> None:
    """Raises InvalidInput when a name, as the log writes it, leads out of the table's folder."""
    outside = names.filter(pc.match_substring_regex(names, _OUTSIDE))
    if len(outside):
        raise _outside(place, outside[0].as_py())


def _outside(place: str, name: str) -> InvalidInput:
    return InvalidInput(f"the log of the table at {place} names a file outside it, which is not followed: {name}")
