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
