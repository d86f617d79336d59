"""The leak report of what is registered: a feature spec, or a model at the table versions that it was trained on."""

from boathouse.context import Context
from boathouse.errors import InvalidInput
from boathouse.features import FeatureSpec, LeakReport
from boathouse.lake import Frame
from boathouse.scoring import load
from boathouse.training import find_leaks, registered


def leaks_of_model(context: Context, model_uri: str, df: Frame, time: str | None, retrain: bool) -> LeakReport:
    """A version's features over a spine; with `retrain` its estimator trained in each way."""
    model = load(context, model_uri)
    if model.spec is None:
        raise InvalidInput(f"{model_uri} looks nothing up: log it with fe.log_model(training_set=…)")
    return find_leaks(
        context, model.spec, registered(context, df), _relations(context, model.spec), time=time,
        estimator=model.raw if retrain else None,
    )  # fmt: skip


def _relations(context: Context, spec: FeatureSpec) -> dict[str, str]:
    return {name: context.table(name).scan(table.version) for name, table in spec.tables.items()}
