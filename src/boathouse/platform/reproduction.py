"""Makes a model version again from its record, apart from everything, and says how like the two are.

Its memory is runs: the first trains in a throw-away place whose tables are the recorded versions, the next compares; where
they differ, a third and a fourth do the same again, which tells chance from change. The report is a value of the first run.
"""

import json
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boathouse.catalog import CloneSpec
from boathouse.environments import apply_diff, service_principal
from boathouse.errors import BoathouseError, InvalidInput, NotFound
from boathouse.identity import Identity
from boathouse.jobs import Run, RunRequest, recorded_task
from boathouse.names import parse, scratch_schema
from boathouse.registry import fetch_artifacts
from boathouse.training import DIFF, FOLDER, TOLERANCE, Comparison

if TYPE_CHECKING:
    from boathouse.platform.platform import Platform

PREFIX, COMPARING = "reproduce-", "compare-again-"
_PRINCIPAL = "reproduction"
_NOTHING = {"left": "1", "op": "EQUAL_TO", "right": "1"}
"""In place of a training that cannot be: the verdict says why."""
_KEYS = ("git_commit", "git_dirty", "lock_hash", "project", "job", "task", "job_run", "tables", "seed")


@dataclass(frozen=True)
class Record:
    """What is known of how a version was made."""

    model: str
    version: int
    mlflow_run: str
    facts: Mapping[str, str]

    @property
    def tables(self) -> dict[str, int]:
        """Table -> version."""
        found: dict[str, int] = json.loads(self.facts.get("tables", "{}"))
        return found


class Missing(BoathouseError):
    """Something that the record names is not there any more; the verdict names it."""


class Reproduction:
    """Of one home."""

    def __init__(self, platform: "Platform") -> None:
        self._platform = platform

    def start(self, identity: Identity, model: str, reference: str, tolerance: float = TOLERANCE) -> str:
        """Begin; the id of the first run, under which `report` answers. Needs EXECUTE on the model and RUN in its environment.

        Of a copy, what it was copied from is made again, in the environment that trained it, which takes the same there.

        Raises NotFound, NotPermitted, and InvalidInput for a version that holds no record of a job's run.
        """
        platform = self._platform
        platform.access.authorize(identity, "EXECUTE", "model", model)
        asked = platform.registry.resolve(model, reference)
        origin, version = platform.registry.trained(model, asked)
        if origin != model:  # a copy is what training made in its own environment: that is made again
            platform.access.authorize(identity, "EXECUTE", "model", origin)
        platform.access.authorize(identity, "RUN", "catalog", parse(origin).catalog)
        record = self._record(origin, version)
        told = {"model": origin, "version": version, "tolerance": tolerance, "copy": [model, asked] if origin != model else None}
        platform.audit.record(identity.principal, "reproduce model", model, {"version": asked})
        return self._train(record, identity.principal, told)

    def report(self, run_id: str) -> dict[str, Any]:
        """How it stands: `state` RUNNING or DONE; then `verdict`, `cause` and what was compared. Raises NotFound."""
        run = self._platform.runs.get(run_id)
        if not run.job.startswith(PREFIX):
            raise NotFound(f"run {run_id} makes no model again; `boathouse models reproduce MODEL/VERSION` starts one that does")
        told = run.definition["again"]
        base = {"id": run.id, "model": told["model"], "version": told["version"], "state": "RUNNING"}
        if told.get("copy"):
            base |= {"copy": dict(zip(("model", "version"), told["copy"], strict=True))}
        return {**base, **(run.tasks[0].results.get("report") or {})}

    def ended(self, run: Run) -> None:
        """Take the next step after one of its runs."""
        told = run.definition["again"]
        if run.job.startswith(COMPARING):
            self._judge(run, told)
        elif run.state == "SUCCESS":
            self._compare(run, told)
        else:
            self._conclude(run, told, "different", f"training failed again: {run.reason}; see `boathouse runs logs {run.id}`")

    # steps

    def _train(self, record: Record, by: str, told: dict[str, Any], first: str | None = None) -> str:
        platform, environment = self._platform, parse(record.model).catalog
        scratch = f"rp{uuid.uuid4().int % 10**12}"
        original = platform.runs.get(record.facts["job_run"])
        definition = recorded_task(original, record.facts.get("task"))
        told = {**told, "scratch": scratch, "first": first}
        if "seed" in record.facts:
            definition["seed"] = int(record.facts["seed"])
        source, cause = str(platform.settings.path("runs")), None
        try:
            source = str(self._code(record, scratch))
            self._tables(record, environment, scratch)
        except Missing as missing:
            cause = str(missing)
            definition["tasks"] = [{"task_key": definition["tasks"][0]["task_key"], "condition_task": _NOTHING}]
        platform.identities.ensure(_PRINCIPAL, "service_principal")
        return platform.runner.submit(RunRequest(
            environment=environment, project=original.project, job=f"{PREFIX}{parse(record.model).short}",
            definition={**definition, "again": {**told, "missing": cause}}, source=source, principal=_PRINCIPAL, submitted_by=by,
            commit=record.facts.get("git_commit"), dirty=record.facts.get("git_dirty") == "true", scratch=scratch,
            parameters=original.parameters, trigger=f"reproduce {record.model} version {record.version}", parent_run=first,
            start_key=f"again {first}" if first else None, place=platform.home.id,
        ))  # fmt: skip

    def _compare(self, run: Run, told: dict[str, Any]) -> None:
        if told.get("missing"):
            self._conclude(run, told, "different", told["missing"])
            return
        platform, name = self._platform, parse(told["model"])
        made = f"{name.catalog}.{scratch_schema(run.scratch, name.schema)}.{name.object}"
        known = [m.name for m in platform.registry.models(run.environment)]
        if made not in known:
            self._conclude(run, told, "different", f"training registered no version of {name.short} this time")
            return
        plan = platform.delivery.plan(told["model"])
        arguments = [told["model"], str(told["version"]), made, json.dumps(dict(plan.evaluation) if plan else {})]
        task = {"task_key": "compare", "builtin_task": {"name": "compare-versions", "parameters": arguments}}
        principal = service_principal(run.environment)
        platform.runner.submit(RunRequest(
            environment=run.environment, project=run.project, job=f"{COMPARING}{name.short}",
            definition={"tasks": [task], "again": {**told, "trained": run.id}}, source=run.source, commit=run.commit_id,
            dirty=run.dirty, principal=principal, submitted_by=principal, trigger=run.trigger, start_key=f"compare {run.id}",
        ))  # fmt: skip

    def _judge(self, run: Run, told: dict[str, Any]) -> None:
        trained = self._platform.runs.get(told["trained"])
        found = run.tasks[0].results.get("comparison")
        if run.state != "SUCCESS" or found is None:
            why = f"the two versions could not be compared: {run.reason}; see `boathouse runs logs {run.id}`"
            self._conclude(trained, told, "different", why)
            return
        comparison = Comparison.from_dict(found)
        likeness = comparison.likeness(told["tolerance"])
        if likeness == "different" and not told["first"]:
            self._platform.runs.add_result(trained.id, trained.tasks[0].task_key, "comparison", found)
            self._clean(trained)
            record = self._record(told["model"], told["version"])
            again = {key: told.get(key) for key in ("model", "version", "tolerance", "copy")}
            self._train(record, trained.submitted_by, again, first=trained.id)
            return
        cause = None if likeness != "different" else self._cause(trained, told, comparison)
        self._conclude(trained, told, likeness, cause, found)

    def _cause(self, trained: Run, told: Mapping[str, Any], second: Comparison) -> str:
        """Why two trainings are not the recorded one: the first reason that holds."""
        first_run = self._platform.runs.get(told["first"])
        first = Comparison.from_dict(first_run.tasks[0].results["comparison"])
        wanted = self._record(told["model"], told["version"]).facts.get("lock_hash")
        lock = self._platform.interpreters.wanted(trained, trained.tasks[0].task_key).lock
        if wanted != (lock.hash if lock else None):
            return f"the lock is not the recorded one: {wanted} was, {lock.hash if lock else 'none'} is in the code"
        if first.surroundings:
            return f"the environment is not the recorded one: {', '.join(first.surroundings[:5])}"
        twice = {k: (first.metrics[k][1], second.metrics.get(k, (None, None))[1]) for k in first.metrics}
        moved = [k for k, (a, b) in twice.items() if a != b]
        if moved or first.largest != second.largest:
            names = f" in {', '.join(moved[:5])}" if moved else " in their predictions"
            return f"training is not deterministic: two reruns of the same code on the same data differ{names}"
        return "not in the record: reruns agree with each other and differ from it (data read otherwise than through tables?)"

    def _conclude(self, run: Run, told: Mapping[str, Any], verdict: str, cause: str | None,
                  comparison: Mapping[str, Any] | None = None) -> None:  # fmt: skip
        first = self._platform.runs.get(told.get("first") or run.id)
        report = {"state": "DONE", "verdict": verdict, "cause": cause, "comparison": comparison, "tolerance": told["tolerance"],
                  "trainings": 2 if told.get("first") else 1}  # fmt: skip
        self._clean(run)
        self._platform.runs.add_result(first.id, first.tasks[0].task_key, "report", report)
        self._platform.audit.record(_PRINCIPAL, "reproduced model", told["model"],
                                    {"version": told["version"], "verdict": verdict, "cause": cause})  # fmt: skip

    def _clean(self, run: Run) -> None:
        self._platform.code.clean(run.environment, run.scratch)
        shutil.rmtree(self._folder(run.scratch), ignore_errors=True)

    # what the record names

    def _record(self, model: str, version: int) -> Record:
        found = self._platform.registry.version(model, version)
        tags = self._platform.registry.run_record(found.run_id, [f"boathouse.{k}" for k in _KEYS]) if found.run_id else {}
        facts = {k.removeprefix("boathouse."): v for k, v in tags.items()}
        if not found.run_id or "job_run" not in facts:
            raise InvalidInput(f"{model} version {version} has no record of a job's run: only what a job trained is made again")
        return Record(model, version, found.run_id, facts)

    def _folder(self, scratch: str) -> Path:
        return self._platform.settings.path("reproductions", scratch)

    def _code(self, record: Record, scratch: str) -> Path:
        commit, project = record.facts.get("git_commit"), record.facts.get("project", "")
        if not commit:
            raise Missing("code missing: it was trained by code that stood in no commit")
        try:
            folder = self._platform.projects.checkout(project, commit)
            if record.facts.get("git_dirty") != "true":
                return folder
            own = self._folder(scratch)
            shutil.copytree(folder, own)
            apply_diff(own, self._file(record, DIFF))
        except NotFound as error:
            raise Missing(f"code missing: {project} has no commit {commit[:12]} any more") from error
        except InvalidInput as error:
            raise Missing(f"code missing: the changes that were not committed do not apply ({error})") from error
        return own

    def _file(self, record: Record, name: str) -> bytes:
        location = self._platform.registry.run_location(record.mlflow_run) or "/nowhere"
        with tempfile.TemporaryDirectory(prefix="boathouse-record-") as folder:
            path = Path(folder, name)
            try:
                fetch_artifacts(f"{location}/{FOLDER}/{name}", self._platform.settings.artifact_root, path)
            except NotFound as error:
                words = f"code missing: the run kept no {name}, and it was trained with uncommitted changes"
                raise Missing(words) from error
            return path.read_bytes()

    def _tables(self, record: Record, environment: str, scratch: str) -> None:
        """Clones of the recorded versions, under the names that the code will look for in its throw-away place."""
        who = self._platform.service_identity(environment)
        for table, version in sorted(record.tables.items()):
            name = parse(table)
            if name.catalog != environment:
                continue  # named in full by the code, and read where it lies
            target = f"{environment}.{scratch_schema(scratch, name.schema)}.{name.object}"
            try:
                info = self._platform.catalog.table(table)
                shallow = not (info.masks or info.row_filter)
                self._platform.cloner.clone(who, CloneSpec(table, target, version, shallow=shallow))
            except BoathouseError as error:
                raise Missing(f"data vacuumed: {table} version {version} cannot be read any more ({error})") from error
