"""Runs code of a release: now, on time, on an event. Tasks are processes of their own; logs and outcomes last."""

from boathouse.jobs.attempt import MARK as PROCESS_MARK
from boathouse.jobs.attempt import end_marked
from boathouse.jobs.definition import REFERENCE, JobDefinition, TaskDefinition, fact_named, with_secrets
from boathouse.jobs.executors import Executors
from boathouse.jobs.exported import JOB_RUNS
from boathouse.jobs.facts import FACTS_OF_A_RUN
from boathouse.jobs.recorded import recorded_task
from boathouse.jobs.requests import Hooks, RunRequest
from boathouse.jobs.runner import Runner
from boathouse.jobs.runs import Run, Runs, TaskRun
from boathouse.jobs.schedule import dues, next_due
from boathouse.jobs.shim import Sieve
from boathouse.jobs.starts import Ports, Startable, Starts, Submit
from boathouse.jobs.task_process import TaskIdentity, inherited
from boathouse.jobs.task_process import end as end_process

__all__ = [
    "FACTS_OF_A_RUN", "JOB_RUNS", "PROCESS_MARK", "REFERENCE", "Executors", "Hooks", "JobDefinition", "Ports", "Run",
    "RunRequest", "Runner", "Runs", "Sieve", "Startable", "Starts", "Submit", "TaskDefinition", "TaskIdentity", "TaskRun", "dues",
    "end_marked", "end_process", "fact_named", "inherited", "next_due", "recorded_task", "with_secrets",
]  # fmt: skip
