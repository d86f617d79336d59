"""Training: sets by point-in-time lookups, and the record that lets a version be made again."""

from boathouse.training.comparison import TOLERANCE, Comparison, apart, changed_packages, sides
from boathouse.training.leaks import commits_of, find_leaks
from boathouse.training.record import (
    DIFF,
    FOLDER,
    PACKAGES,
    TrainingRecord,
    own_parameters,
    pip_requirements,
    record_of,
    tags,
    write_record,
)
from boathouse.training.source import RunningSource, running_source
from boathouse.training.training_set import (
    TrainingSet,
    facts_of,
    frames_of,
    function_facts,
    make_training_set,
    registered,
    relations_of,
    table_facts,
)
from boathouse.training.tuning import NUMBER as TRIAL
from boathouse.training.tuning import Tuned, tune

__all__ = [
    "DIFF",
    "FOLDER",
    "PACKAGES",
    "TOLERANCE",
    "TRIAL",
    "Comparison",
    "RunningSource",
    "TrainingRecord",
    "TrainingSet",
    "Tuned",
    "apart",
    "changed_packages",
    "commits_of",
    "facts_of",
    "find_leaks",
    "frames_of",
    "function_facts",
    "make_training_set",
    "own_parameters",
    "pip_requirements",
    "record_of",
    "registered",
    "relations_of",
    "running_source",
    "sides",
    "table_facts",
    "tags",
    "tune",
    "write_record",
]
