"""Something that is done when a module is imported, if it ever is: it costs nothing where it is not."""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def when_imported(name: str, act: Callable[[Any], None]) -> None:
    """Call `act` with a module right after its import, or now where it was imported before."""
    if name in sys.modules:
        act(sys.modules[name])
    else:
        sys.meta_path.insert(0, _Watch(name, act))


class _Watch(MetaPathFinder):
    """Finds one module by the others' means, once, and has its loader tell."""

    def __init__(self, name: str, act: Callable[[Any], None]) -> None:
        self._name = name
        self._act = act

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        plain, act = spec.loader.exec_module, self._act

        def load(module: ModuleType) -> None:
            plain(module)
            act(module)

        spec.loader.exec_module = load  # type: ignore[method-assign]
        return spec
