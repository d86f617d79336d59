"""The project: what a repository declares, read for a target, and the plan that makes it so."""

from boathouse.project.bundle import Bundle, load
from boathouse.project.gates import Evaluation
from boathouse.project.job import Job, Task
from boathouse.project.job_sources import changed, made_of
from boathouse.project.model import Delivery, Endpoint, RegisteredModel, Rollout
from boathouse.project.monitor import Alert, InferenceLog, Labels, Monitor
from boathouse.project.plan import Change, FieldChange, ResourceState, plan, render
from boathouse.project.resources import Experiment, Resources, Schema, Volume, definition, parse_resource
from boathouse.project.shape import Resource
from boathouse.project.sources import find
from boathouse.project.starter import CI, create_project, templates
from boathouse.project.starts import Schedule, Trigger
from boathouse.project.table import Table
from boathouse.project.target import Target

__all__ = [
    "CI",
    "Alert",
    "Bundle",
    "Change",
    "Delivery",
    "Endpoint",
    "Evaluation",
    "Experiment",
    "FieldChange",
    "InferenceLog",
    "Job",
    "Labels",
    "Monitor",
    "RegisteredModel",
    "Resource",
    "ResourceState",
    "Resources",
    "Rollout",
    "Schedule",
    "Schema",
    "Table",
    "Target",
    "Task",
    "Trigger",
    "Volume",
    "changed",
    "create_project",
    "definition",
    "find",
    "load",
    "made_of",
    "parse_resource",
    "plan",
    "render",
    "templates",
]
