"""The embedded online store: each table an immutable LMDB snapshot, which a pointer file names.

    <directory>/<table>/current.json        the description of the snapshot that is served
    <directory>/<table>/<version>-<id>/     data.mdb; the current one and the one before it
    <directory>/.locks/<table>              held by the one publisher

A snapshot is written in one durable transaction and never changed, so readers need no lock and no place in
a reader table; they see a new one when the pointer file is another. A publisher that dies leaves a folder
that no pointer names, which the next publisher removes.
"""

from boathouse.features.online.codec import Row
from boathouse.features.online.publisher import publish, withdraw
from boathouse.features.online.reader import OnlineReader, OnlineSnapshot
from boathouse.features.online.table import OnlineTable

__all__ = ["OnlineReader", "OnlineSnapshot", "OnlineTable", "Row", "publish", "withdraw"]
