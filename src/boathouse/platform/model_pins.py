"""Versions of tables that models in Production and Staging were trained on stay readable for as long as they are there."""

import json

from boathouse.catalog import Catalog
from boathouse.registry import PRODUCTION, STAGING, Registry

_TABLES = "boathouse.tables"


class ModelPins:
    """Keeps the catalog's pins as the stages of models say."""

    def __init__(self, catalog: Catalog, registry: Registry) -> None:
        self._catalog = catalog
        self._registry = registry

    def sync(self, model: str) -> None:
        """Pin what the model's versions in Production and Staging need, and let go of what others held."""
        wanted: dict[str, dict[str, int]] = {}
        for version in self._registry.staged(model, (PRODUCTION, STAGING)):
            tags = self._registry.run_record(version.run_id, [_TABLES]) if version.run_id else {}
            wanted[f"model {model} version {version.version}"] = json.loads(tags.get(_TABLES, "{}"))
        self._catalog.pins.hold(f"model {model} version ", wanted)

    def catch_up(self) -> None:
        """Pin what all versions in Production and Staging need: those that came there before there were pins have none."""
        wanted = {
            f"model {found.model} version {found.version}": json.loads(found.record[_TABLES])
            for found in self._registry.in_use((), (_TABLES,)) if _TABLES in found.record
        }  # fmt: skip
        self._catalog.pins.hold("model ", wanted)
