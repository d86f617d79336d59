"""Files that share their bytes on disk, as shallow clones do, share them in a copy, too."""

import os
import shutil
from pathlib import Path


class Links:
    """Copies the files of one tree, in any order."""

    def __init__(self) -> None:
        self._copies: dict[tuple[int, int], Path] = {}

    def copy(self, path: Path, place: Path, facts: os.stat_result, same: Path | None = None) -> int:
        """Put a file there, linked to its twin's copy or to the `same` file elsewhere where there is one; the bytes copied."""
        twin = self._copies.get((facts.st_dev, facts.st_ino)) or same
        if twin:
            os.link(twin, place)
        else:
            shutil.copy2(path, place)
        if facts.st_nlink > 1:
            self._copies.setdefault((facts.st_dev, facts.st_ino), place)
        return 0 if twin else facts.st_size
