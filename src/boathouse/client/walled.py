"""What a task behind walls says of a file that is not there: it may lie on the machine, out of the task's sight."""

import os
import re
from pathlib import Path

from boathouse.environments import SCRATCH, WALLED

_MISSING = re.compile(r"no such file|no files found|not found|not exist", re.IGNORECASE)
_PATH = re.compile(r"(?<![\w./:-])/[^\s'\":,;()]+")


def explain(error: BaseException) -> None:
    """Note beside an error how a task may come to read the folder that it missed; nothing without walls, and for its own."""
    words = str(error)
    if WALLED not in os.environ or not (isinstance(error, FileNotFoundError) or _MISSING.search(words)):
        return
    own = (str(Path.cwd()), SCRATCH)
    found = next((p for p in _PATH.findall(words) if not p.startswith(own) and not os.path.lexists(p)), None)
    if found is not None:
        error.add_note(
            f"{found} is not in sight of this task: behind walls it sees its project and its environment's data. "
            "If that is on this machine, name its folder in the setting isolation_folders."
        )
