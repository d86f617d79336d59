"""Files of commits, one folder each, made where they are needed and removed when nobody has needed them for long."""

import os
import shutil
import time
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

from boathouse.environments.git import Repository

_CUT_OFF = timedelta(hours=1)
"""A checkout takes seconds: a half-made one of so long ago belongs to a process that was killed."""


class Checkouts:
    """A folder with `PROJECT/COMMIT` in it; a checkout's time of change says when it was last asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, repository: Repository, project: str, commit: str) -> Path:
        """Exactly that commit's files. Raises NotFound, and InvalidInput as `Repository.export` does."""
        place = repository.export(commit, self.folder / project / commit)
        os.utime(place)
        return place

    def prune(self, unused: timedelta, needed: Collection[tuple[str, str]]) -> list[Path]:
        """Remove those that nobody asked for so long, but for the (project, commit) that are `needed`; what was removed.

        What is needed again is made again.
        """
        removed = []
        for place in sorted(self.folder.glob("*/*")):
            if place.name.startswith("."):
                if _age(place) > _CUT_OFF.total_seconds():
                    shutil.rmtree(place, ignore_errors=True)
            elif (place.parent.name, place.name) not in needed and _age(place) >= unused.total_seconds():
                gone = place.with_name(f".{place.name}-gone")
                os.rename(place, gone)  # whole or not at all, for whoever asks for it now
                shutil.rmtree(gone, ignore_errors=True)
                removed.append(place)
        return removed


def _age(place: Path) -> float:
    try:
        return time.time() - place.stat().st_mtime
    except FileNotFoundError:
        return 0.0
