"""Two versions side by side, in a process of its own: parameters, metrics, surroundings, predictions on the same rows."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boathouse.context import Context
from boathouse.delivery.evaluate import evaluation_rows
from boathouse.scoring import Model, complete, load
from boathouse.training import FOLDER, PACKAGES, Comparison, apart, changed_packages, sides


def compare_versions(context: Context, recorded: str, again: str, evaluation: Mapping[str, Any]) -> Comparison:
    """Two model URIs, the second made again from the first's record.

    Predictions are compared on the `evaluation` rows, completed once, so that both get the same; without any they are not.
    """
    one, other = load(context, recorded), load(context, again)
    import mlflow

    client = mlflow.MlflowClient()
    first, second = (client.get_run(str(model.run_id)) for model in (one, other))
    rows, largest, scale = 0, None, 0.0
    if evaluation:
        frame = evaluation_rows(context, evaluation)
        rows = len(frame)
        largest, scale = _predictions(context, one, other, frame)
    return Comparison(
        sides(first.data.params, second.data.params), sides(_plain(first.data.metrics), _plain(second.data.metrics)),
        rows, largest, scale, _surroundings(mlflow, first, second),
    )  # fmt: skip


def _predictions(context: Context, one: Model, other: Model, frame: Any) -> tuple[float, float]:
    whole = complete(context, one.spec, frame)[0].to_pandas() if one.spec else frame
    answers = [model.predict(whole) for model in (one, other)]
    columns = [a.values if a.probabilities is None else a.probabilities for a in answers]
    try:
        return apart(*columns)
    except ValueError:  # words: they are the same or not
        return float((columns[0] != columns[1]).any()), 1.0


def _plain(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if not name.startswith("system/")}


def _surroundings(mlflow: Any, first: Any, second: Any) -> tuple[str, ...]:
    found = changed_packages(_packages(mlflow, first), _packages(mlflow, second))
    tags = [run.data.tags for run in (first, second)]
    python = [t.get("boathouse.python") for t in tags]
    machines = [json.loads(t.get("boathouse.hardware") or "{}") for t in tags]
    pairs = [("python", *python), *((key, *(m.get(key) for m in machines)) for key in ("cpu", "cpus"))]
    return (*found, *(f"{name} {a} -> {b}" for name, a, b in pairs if a and a != b))


def _packages(mlflow: Any, run: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=f"{FOLDER}/{PACKAGES}",
                                                       dst_path=folder)  # fmt: skip
        except mlflow.exceptions.MlflowException:  # a run of before records listed packages
            return ""
        return Path(path).read_text()
