"""What a task's MLflow runs record by themselves, and where its random numbers begin."""

import random
import tempfile
from pathlib import Path
from typing import Any

from boathouse.client.when_imported import when_imported
from boathouse.context import Context
from boathouse.training import FOLDER, TRIAL, record_of, tags, write_record

_CHEAP: dict[str, Any] = {"log_models": False, "log_datasets": False, "log_input_examples": False,
                          "log_model_signatures": False, "silent": True}  # fmt: skip
_kept: set[str] = set()


def begin(context: Context) -> None:
    """Seed what makes random numbers, and see that every MLflow run of this process gets its record."""
    if (seed := context.run.seed) is not None:
        random.seed(seed)
        when_imported("numpy", lambda numpy: numpy.random.seed(seed))
        when_imported("torch", lambda torch: torch.manual_seed(seed))
    when_imported("mlflow", lambda mlflow: _record_runs(mlflow, context))


def keep(context: Context, mlflow: Any, run_id: str) -> None:
    """Write the record of a run that had none kept yet."""
    if run_id in _kept:
        return
    _kept.add(run_id)
    client = mlflow.MlflowClient()
    found = client.get_run(run_id).data.tags
    if TRIAL in found:  # its study has the record
        return
    record = record_of(context, {}, None)
    for key, value in tags(record).items():
        if key not in found:
            client.set_tag(run_id, key, value)
    if "boathouse.tables" not in found:
        with tempfile.TemporaryDirectory() as folder:
            write_record(record, context.run, Path(folder))
            client.log_artifacts(run_id, folder, FOLDER)


def _record_runs(mlflow: Any, context: Context) -> None:
    """Before a run ends, its record is kept: only then is it known what was read."""
    from mlflow.tracking import fluent

    plain = fluent.end_run

    def end_run(status: str = "FINISHED") -> None:
        if active := fluent.active_run():
            keep(context, mlflow, active.info.run_id)
        plain(status)

    fluent.end_run = mlflow.end_run = end_run
    if context.run.autolog == "full":
        mlflow.autolog(**_CHEAP)
