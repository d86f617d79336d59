"""Names that one resource uses of another in the same project."""

from collections.abc import Iterator
from difflib import get_close_matches

from boathouse.project.circle import circle
from boathouse.project.job import Job
from boathouse.project.located import Step
from boathouse.project.resources import Resources
from boathouse.project.run_references import unknown_references

Loose = tuple[tuple[Step, ...], str]


def loose_ends(resources: Resources) -> Iterator[Loose]:
    """(path, sentence) of every name that names nothing, and of jobs that run themselves. A dotted name may belong to
    another project."""
    jobs, alerts = list(resources.jobs), list(resources.alerts)
    for key, alert in resources.alerts.items():
        yield from _check(
            ("alerts", key, "monitor"), alert.monitor, list(resources.quality_monitors), "monitor"
        )
        yield from _check(("alerts", key, "run_job"), alert.run_job, jobs, "job")
    for key, monitor in resources.quality_monitors.items():
        yield from _check(
            ("quality_monitors", key, "model"), monitor.model, _models(resources), "registered model"
        )
    for key, job in resources.jobs.items():
        yield from ((("jobs", key, *path), sentence) for path, sentence in unknown_references(job))
        if job.trigger:
            yield from _check(("jobs", key, "trigger", "alert"), job.trigger.alert, alerts, "alert")
    for key, endpoint in resources.model_serving_endpoints.items():
        for position, entity in enumerate(endpoint.config.served_entities):
            spot = ("model_serving_endpoints", key, "config", "served_entities", position, "entity_name")
            yield from _check(spot, entity.entity_name, _models(resources), "registered model")
        if len(named := {model_name(resources, e.entity_name) for e in endpoint.config.served_entities}) > 1:
            spot = ("model_serving_endpoints", key, "config", "served_entities", 0, "entity_name")
            yield spot, f"served_entities are versions of one model, not of {' and '.join(sorted(named))}"
    if found := circle({key: [run for _, run in _runs(job)] for key, job in resources.jobs.items()}):
        place = next(position for position, run in _runs(resources.jobs[found[0]]) if run == found[1])
        yield ("jobs", found[0], "tasks", place), f"a job that runs itself never ends: {' -> '.join(found)}"


def _runs(job: Job) -> Iterator[tuple[int, str]]:
    """(position of the task, the job that it runs)."""
    for position, task in enumerate(job.tasks):
        inner = task.for_each_task.task if task.for_each_task else task
        if inner.run_job_task:
            yield position, inner.run_job_task.job


def model_name(resources: Resources, reference: str) -> str:
    """A registered model's `schema.name`, from its key, its name or its full name."""
    for key, model in resources.registered_models.items():
        if reference in (key, model.name):
            return model.full_name
    return reference


def _models(resources: Resources) -> list[str]:
    return [name for key, model in resources.registered_models.items() for name in (key, model.name)]


def _check(path: tuple[Step, ...], name: str | None, known: list[str], what: str) -> Iterator[Loose]:
    if name is None or name in known or "." in name:
        return
    near = get_close_matches(name, known, 1)
    there = ", ".join(dict.fromkeys(known)) or "none"
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {there}"
    yield path, f"there is no {what} '{name}' in this project; {hint}"
