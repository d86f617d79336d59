"""Hyperparameter search with Optuna whose memory is MLflow: a run for the study, a nested run for each trial.

A task may open no database, and its folder may be gone after a crash. What a study knows is therefore kept in its runs,
which every caller reaches over HTTP under its own grants: a search that was killed reads them and goes on, and several
processes, on one machine or many, search together by reading what the others found.
"""

# mypy: allow-untyped-calls

import json
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from boathouse.context import Context, current
from boathouse.errors import InvalidInput, MissingExtra
from boathouse.training.search_pictures import history, parallel_coordinates

STUDY, RUN, NUMBER, TRIAL, SPACE = (f"boathouse.{k}" for k in ("study", "job_run", "trial", "trial.parameters", "trial.space"))
WORKER = "boathouse.trial.worker"
_WAIT, _SETTLE = 600.0, 1.0
"""Seconds: for a first trial that other workers complete, and for a study that another began in the same moment to show."""
_VALUE, _STEPS = "objective", "objective_step"
_PARENT, _NAME = "mlflow.parentRunId", "mlflow.runName"
_DONE, _GOING = ("COMPLETE", "PRUNED"), ("RUNNING", "SCHEDULED")
Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Tuned:
    """What a search found: the best trial, and Optuna's study, of which `resumed` trials were there already."""

    run_id: str
    best_params: dict[str, Any]
    best_value: float
    best_run_id: str
    study: Any
    resumed: int


def tune(
    objective: Callable[[Any], float], *, n_trials: int, study: str, direction: Direction = "maximize", parallel: int = 1,
    sampler: Any = None, pruner: Any = None, seed: int | None = None, catch: type[Exception] | tuple[type[Exception], ...] = (),
    worker: str | None = None,
) -> Tuned:  # fmt: skip
    """Search for the parameters with the best `objective(trial)`, until `n_trials` were completed or pruned.

    `objective` is Optuna's: it asks `trial.suggest_float(…)`, may `trial.report(value, step)` and prune, and gives a number.
    Inside it the trial's own MLflow run is active. `parallel` trials run at once, in threads. A study of the same name in
    the same job run (in a shell: of the same name) that did not come to its end goes on; what was finished is not done again.
    Several processes search one study at once where each names itself as `worker`: `n_trials` are those of all together, each
    learns from what the others finished, and the last writes the conclusion. A worker that was killed goes on under its name.
    Raises MissingExtra without Optuna, InvalidInput, and what the objective raised, unless it is one of `catch`.
    """
    if n_trials < 1 or parallel < 1 or not study or "'" in study or worker == "":
        raise InvalidInput("a search needs a name without apostrophes, at least one trial at a time, and workers with names")
    try:
        import optuna
    except ImportError as error:
        raise MissingExtra("tuning needs Optuna: run `pip install 'boathouse[tuning]'`") from error
    import mlflow

    context = current()
    context.point_mlflow_here()
    seed = context.run.seed if seed is None else seed
    alone = zlib.crc32(worker.encode()) % 1_000_003 if worker else 0  # workers of one seed draw different parameters
    with _Memory(context, mlflow, study, direction, worker) as memory:
        known = memory.trials(optuna)
        made = optuna.create_study(
            direction=direction, pruner=pruner or optuna.pruners.NopPruner(),
            sampler=sampler or optuna.samplers.TPESampler(
                seed=None if seed is None else seed + len(known) + alone, constant_liar=parallel > 1),
        )  # fmt: skip
        made.add_trials(known)
        for _ in range(n_trials if worker else 1):
            left = n_trials - sum(t.state.name in _DONE for t in made.trials) - memory.elsewhere()
            if left > 0:
                made.optimize(memory.remembering(objective, optuna), n_trials=min(left, parallel) if worker else left,
                              n_jobs=parallel, catch=catch, callbacks=[memory.keep])  # fmt: skip
            memory.learn(optuna, made)
        memory.conclude(optuna, made)
        best = made.best_trial
        return Tuned(memory.run_id, best.params, made.best_value, memory.runs[best.number], made, len(known))


class _Memory:
    """The runs of one study."""

    def __init__(self, context: Context, mlflow: Any, study: str, direction: Direction, worker: str | None) -> None:
        self._mlflow = mlflow
        self._worker = worker
        self._client = mlflow.MlflowClient()
        self._lock = threading.Lock()
        self.runs: dict[int, str] = {}
        """Trial -> its run."""
        marks = {STUDY: study, "boathouse.study.direction": direction}
        if context.run.run_id:
            marks[RUN] = context.run.run_id
        self._outer = mlflow.active_run()
        self._experiment = self._outer.info.experiment_id if self._outer else _experiment(mlflow)
        found = self._joined(study, marks) if worker else self._found(marks)
        self.run_id, self._again = found or (self._made(study, marks), False)

    def __enter__(self) -> "_Memory":
        self._mlflow.start_run(run_id=self.run_id, nested=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        self._mlflow.end_run("FINISHED" if kind is None else "FAILED")
        if self.elsewhere():
            self._client.update_run(self.run_id, "RUNNING")

    def trials(self, optuna: Any) -> list[Any]:
        """What an earlier process finished, in order; what it left running is told to be killed."""
        found: list[Any] = []
        for run in sorted(self._children(), key=lambda r: int(r.data.tags[NUMBER])) if self._again else ():
            if run.info.status in _GOING and self._worker in (None, run.data.tags.get(WORKER)):
                self._client.set_terminated(run.info.run_id, "KILLED")
            trial = self._trial(optuna, run) if TRIAL in run.data.tags else None
            if trial is not None:
                self.runs[len(found)] = run.info.run_id
                found.append(trial)
        return found

    def learn(self, optuna: Any, study: Any) -> None:
        """Give a study what other workers finished since it was looked last."""
        known = set(self.runs.values())
        for run in self._children() if self._worker else ():
            trial = self._trial(optuna, run) if TRIAL in run.data.tags and run.info.run_id not in known else None
            if trial is not None:
                self.runs[len(study.trials)] = run.info.run_id
                study.add_trial(trial)

    def elsewhere(self) -> int:
        """How many trials other workers have begun and not ended."""
        return sum(run.info.status in _GOING and run.data.tags.get(WORKER) != self._worker
                   for run in (self._children() if self._worker else ()))  # fmt: skip

    def remembering(self, objective: Callable[[Any], float], optuna: Any) -> Callable[[Any], float]:
        """The objective, each call inside the trial's own run."""

        def call(trial: Any) -> float:
            tags = {_PARENT: self.run_id, _NAME: f"trial {trial.number}", NUMBER: str(trial.number)}
            if self._worker:
                tags |= {_NAME: f"{self._worker}: trial {trial.number}", WORKER: self._worker}
            run_id = self._client.create_run(self._experiment, tags=tags).info.run_id
            with self._lock:
                self.runs[trial.number] = run_id
            status = "FAILED"
            self._mlflow.start_run(run_id=run_id, nested=True)
            try:
                value = objective(trial)
                status = "FINISHED"
                return value
            except optuna.TrialPruned:
                status = "FINISHED"
                raise
            finally:
                self._mlflow.end_run(status)

        return call

    def keep(self, study: Any, trial: Any) -> None:
        """Write down what a trial was and came to. Only with this is it remembered."""
        from mlflow.entities import Metric, Param, RunTag
        from optuna.distributions import distribution_to_json

        run_id = self.runs[trial.number]
        at = int(trial.datetime_complete.timestamp() * 1000)
        metrics = [Metric(_STEPS, value, at, step) for step, value in trial.intermediate_values.items()]
        if trial.value is not None:
            metrics.append(Metric(_VALUE, trial.value, at, 0))
        space = {name: json.loads(distribution_to_json(d)) for name, d in trial.distributions.items()}
        told = {"state": trial.state.name, "value": trial.value, "parameters": trial.params, "steps": len(metrics) > 1}
        tags = [RunTag(SPACE, json.dumps(space)), RunTag("boathouse.trial.state", trial.state.name),
                RunTag(TRIAL, json.dumps(told))]  # fmt: skip
        self._client.log_batch(run_id, metrics, [Param(k, str(v)) for k, v in trial.params.items()], tags)

    def conclude(self, optuna: Any, study: Any) -> None:
        """The best trial and the pictures of the search, in the study's own run; of several workers the last does it."""
        limit = time.monotonic() + _WAIT
        while not (finished := [t for t in study.trials if t.state.name == "COMPLETE"]):
            if not self.elsewhere() or time.monotonic() > limit:
                raise InvalidInput(f"no trial of {len(study.trials)} was completed: all were pruned or failed")
            time.sleep(1)
            self.learn(optuna, study)
        if self.elsewhere():
            return
        best = study.best_trial
        self._client.log_metric(self.run_id, f"best_{_VALUE}", best.value)
        self._client.set_tag(self.run_id, "boathouse.study.best_run", self.runs[best.number])
        for name, value in best.params.items():
            self._client.set_tag(self.run_id, f"best.{name}", str(value))
        with tempfile.TemporaryDirectory() as folder:
            history(finished, study.direction.name == "MAXIMIZE", Path(folder, "history.svg"))
            if best.params:
                parallel_coordinates(finished, Path(folder, "parameters.svg"))
            self._client.log_artifacts(self.run_id, folder)

    def _found(self, marks: dict[str, str]) -> tuple[str, bool] | None:
        """The newest run of the study, unless that came to its end."""
        where = " and ".join(f"tags.`{key}` = '{value}'" for key, value in marks.items())
        found = self._client.search_runs([self._experiment], where, max_results=1, order_by=["attributes.start_time DESC"])
        return (found[0].info.run_id, True) if found and found[0].info.status != "FINISHED" else None

    def _joined(self, study: str, marks: dict[str, str]) -> tuple[str, bool]:
        """The study's run, which all workers share: the oldest, where several began it at once. In a job, over or not."""
        own = None if self._going(marks) else self._made(study, marks)
        time.sleep(_SETTLE if own else 0)
        oldest = min(self._going(marks), key=lambda run: (run.info.start_time, run.info.run_id)).info.run_id
        if own and own != oldest:
            self._client.delete_run(own)
        return str(oldest), True

    def _going(self, marks: dict[str, str]) -> list[Any]:
        over = "" if RUN in marks else " and attributes.status != 'FINISHED'"
        where = " and ".join(f"tags.`{key}` = '{value}'" for key, value in marks.items()) + over
        return list(self._client.search_runs([self._experiment], where))

    def _made(self, study: str, marks: dict[str, str]) -> str:
        outer = {_PARENT: self._outer.info.run_id} if self._outer else {}
        made = self._client.create_run(self._experiment, tags={**marks, **outer, _NAME: study})
        return str(made.info.run_id)

    def _children(self) -> Iterable[Any]:
        where, token = f"tags.`{_PARENT}` = '{self.run_id}'", None
        while True:
            page = self._client.search_runs([self._experiment], where, max_results=1000, page_token=token)
            yield from (run for run in page if NUMBER in run.data.tags)
            token = page.token
            if not token:
                return

    def _trial(self, optuna: Any, run: Any) -> Any:
        told, tags = json.loads(run.data.tags[TRIAL]), run.data.tags
        if told["state"] not in _DONE:
            return None
        restored = optuna.distributions.json_to_distribution
        space = {name: restored(json.dumps(d)) for name, d in json.loads(tags[SPACE]).items()}
        steps = self._client.get_metric_history(run.info.run_id, _STEPS) if told["steps"] else []
        return optuna.trial.create_trial(
            state=optuna.trial.TrialState[told["state"]], value=told["value"], params=told["parameters"], distributions=space,
            intermediate_values={m.step: m.value for m in steps},
        )  # fmt: skip


def _experiment(mlflow: Any) -> str:
    from mlflow.tracking.fluent import _get_experiment_id

    del mlflow
    return str(_get_experiment_id())
