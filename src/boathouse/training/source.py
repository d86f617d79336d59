"""The code that a person runs by hand, in a notebook, a console or a script, which no commit need hold."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boathouse.environments import working_tree_facts

_LARGEST = 1_000_000
_NEXT_CELL = "\n\n# %%\n"


@dataclass(frozen=True)
class RunningSource:
    """A file's `name` and `text`, and the commit of the repository that it lies in; dirty where that has changes, or is none."""

    name: str
    text: str
    commit: str | None
    dirty: bool

    @property
    def kept_in_git(self) -> bool:
        """Whether the commit has this text."""
        return self.commit is not None and not self.dirty


def running_source() -> RunningSource | None:
    """The cells that this process ran, as `cells.py`, else the script that it began with; None for other programs.

    Of a notebook it is what ran, saved or not. A script larger than 1 MB is left out.
    """
    if shell := _shell():
        cells = [cell for cell in shell.user_ns.get("In", ()) if cell.strip()]
        file = shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME") or ""
        folder = Path(file).parent if Path(file).is_file() else Path.cwd()
        commit = working_tree_facts(folder).commit
        return RunningSource("cells.py", _NEXT_CELL.join(cells) + "\n", commit, True) if cells else None
    file = getattr(sys.modules["__main__"], "__file__", None) or ""
    script = Path(file).absolute()
    if not file or not script.is_file() or script.stat().st_size > _LARGEST or script.is_relative_to(sys.prefix):
        return None
    facts = working_tree_facts(script.parent)
    return RunningSource(script.name, script.read_text(errors="replace"), facts.commit, facts.dirty)


def _shell() -> Any:
    """IPython's shell, where this process has one: Jupyter's, an editor's, or a console's."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module else None
