"""Small files joined as they come: tables that ask for it never hold many."""

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from boathouse.lake.confined import confine

PROPERTY = "delta.autoOptimize.autoCompact"
"""The table property that asks for it; others' engines know it by the same name."""

_SMALL = 16 * 1024 * 1024
_MANY = 50
_EVERY = 10


def asked_for(table: DeltaTable) -> bool:
    """Whether the table's small files shall be joined as they come."""
    return str(table.metadata().configuration.get(PROPERTY, "")).lower() in ("true", "auto")


def compact_if_due(table: DeltaTable) -> None:
    """After an append: join small files where there are many, in a commit of its own; others' commits come first."""
    if table.version() % _EVERY or not asked_for(table):
        return
    actions = table.get_add_actions(flatten=True)
    partitions = [name for name in actions.schema.names if name.startswith("partition.")]
    columns = [actions.column(name).to_pylist() for name in partitions]
    small = [number for number, size in enumerate(actions.column("size_bytes").to_pylist()) if size < _SMALL]
    kept = {tuple(column[number] for column in columns) for number in small}  # one a partition would stay
    if len(small) - len(kept) < _MANY:
        return
    confine(table)
    try:
        table.optimize.compact(target_size=_SMALL)
    except DeltaError:  # somebody else rewrites these files: theirs holds
        return
