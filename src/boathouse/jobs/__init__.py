"""Runs code of a release: now, on time, on an event. Tasks are processes of their own; logs and outcomes last."""

from boathouse.jobs.definition import JobDefinition, TaskDefinition
from boathouse.jobs.exported import JOB_RUNS
from boathouse.jobs.requests import Hooks, RunRequest
from boathouse.jobs.runner import Runner
from boathouse.jobs.runs import Run, Runs, TaskRun
from boathouse.jobs.schedule import Schedules, next_due
from boathouse.jobs.task_process import TaskIdentity, inherited, process_started
from boathouse.jobs.task_process import end as end_process

__all__ = [
    "JOB_RUNS", "Hooks", "JobDefinition", "Run", "RunRequest", "Runner", "Runs", "Schedules", "TaskDefinition", "TaskIdentity",
    "TaskRun", "end_process", "inherited", "next_due", "process_started",
]  # fmt: skip
