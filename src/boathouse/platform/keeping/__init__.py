"""Keeping a home: copies of it, bringing one back, moving its database and tables elsewhere."""

from boathouse.platform.keeping.backup import Backup, backup, backups_in, latest, prune
from boathouse.platform.keeping.moving import Moved, bring_up_to_date, move_database, move_tables, owned
from boathouse.platform.keeping.restoring import restore

__all__ = [
    "Backup",
    "Moved",
    "backup",
    "backups_in",
    "bring_up_to_date",
    "latest",
    "move_database",
    "move_tables",
    "owned",
    "prune",
    "restore",
]
