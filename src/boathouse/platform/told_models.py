"""What models are described as, for searches: MLflow's descriptions and tags, and their inputs."""

from collections.abc import Sequence

from boathouse.catalog import Lineage, Match
from boathouse.registry import ModelInfo, Registry


class ToldModels:
    """Texts of models."""

    def __init__(self, registry: Registry, lineage: Lineage) -> None:
        self._registry = registry
        self._lineage = lineage

    def __call__(self, names: Sequence[str]) -> dict[str, list[Match]]:
        """Name -> its texts; models that the registry does not know are left out."""
        if not names:
            return {}
        inputs = self._lineage.written_columns(f"model:{name}" for name in names)
        return {m.name: _texts(m, inputs.get(f"model:{m.name}", [])) for m in self._infos(names)}

    def _infos(self, names: Sequence[str]) -> list[ModelInfo]:
        environments = sorted({name.partition(".")[0] for name in names})
        return [m for environment in environments for m in self._registry.models(environment) if m.name in set(names)]


def _texts(model: ModelInfo, inputs: Sequence[str]) -> list[Match]:
    tags = [Match("tag", f"{k}={v}" if v else k) for k, v in model.tags.items()]
    aliases = [Match("alias", alias) for alias in model.aliases]
    told = [Match("description", model.description)] if model.description else []
    return [*told, *tags, *aliases, *(Match("column", name) for name in inputs)]
