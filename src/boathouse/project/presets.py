"""What a target changes in all resources at once: names, pauses, tags, permissions, who runs jobs."""

import re
from typing import TypeVar

from boathouse.project.job import Job
from boathouse.project.model import Endpoint
from boathouse.project.resources import Resources
from boathouse.project.shape import PauseStatus, Permission, Principal
from boathouse.project.starts import Continuous, Schedule, Trigger
from boathouse.project.target import Presets

_Start = TypeVar("_Start", Schedule, Trigger, Continuous)


def apply(
    resources: Resources,
    presets: Presets,
    *,
    permissions: tuple[Permission, ...] = (),
    run_as: Principal | None = None,
) -> Resources:
    """The resources as the target has them; what a resource says for itself stays."""
    jobs = {key: _job(job, presets, permissions, run_as) for key, job in resources.jobs.items()}
    experiments = {
        key: experiment.model_copy(
            update={
                "name": _prefixed_path(presets.name_prefix, experiment.name),
                "tags": {**presets.tags, **experiment.tags},
                "permissions": (*experiment.permissions, *permissions),
            }
        )
        for key, experiment in resources.experiments.items()
    }
    endpoints = {
        key: _endpoint(e, presets, permissions) for key, e in resources.model_serving_endpoints.items()
    }
    monitors = {
        key: monitor.model_copy(update={"schedule": _paused(monitor.schedule, presets.trigger_pause_status)})
        for key, monitor in resources.quality_monitors.items()
    }
    return resources.model_copy(
        update={
            "jobs": jobs,
            "experiments": experiments,
            "model_serving_endpoints": endpoints,
            "quality_monitors": monitors,
        }
    )


def _job(job: Job, presets: Presets, permissions: tuple[Permission, ...], run_as: Principal | None) -> Job:
    concurrent = presets.jobs_max_concurrent_runs
    own_concurrent = "max_concurrent_runs" in job.model_fields_set
    return job.model_copy(
        update={
            "name": f"{presets.name_prefix}{job.name}" if job.name else None,
            "tags": {**presets.tags, **job.tags},
            "schedule": _paused(job.schedule, presets.trigger_pause_status),
            "trigger": _paused(job.trigger, presets.trigger_pause_status),
            "continuous": _paused(job.continuous, presets.trigger_pause_status),
            "max_concurrent_runs": concurrent
            if concurrent and not own_concurrent
            else job.max_concurrent_runs,
            "permissions": (*job.permissions, *permissions),
            "run_as": job.run_as or run_as,
        }
    )


def _endpoint(endpoint: Endpoint, presets: Presets, permissions: tuple[Permission, ...]) -> Endpoint:
    prefix = re.sub(r"[^A-Za-z0-9_-]+", "_", presets.name_prefix)
    return endpoint.model_copy(
        update={
            "name": f"{prefix}{endpoint.name}",
            "tags": {**presets.tags, **endpoint.tags},
            "permissions": (*endpoint.permissions, *permissions),
        }
    )


def _paused(start: _Start | None, status: PauseStatus | None) -> _Start | None:
    if start is None or start.pause_status is not None or status is None:
        return start
    return start.model_copy(update={"pause_status": status})


def _prefixed_path(prefix: str, name: str) -> str:
    """`/Users/ann/training` gets its prefix before the last part."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{prefix}{last}"
