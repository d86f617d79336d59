"""Training: sets by point-in-time lookups, and the record that lets a version be made again."""

from boathouse.training.leaks import commits_of, find_leaks
from boathouse.training.record import TrainingRecord, pip_requirements, record_of, tags
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

__all__ = [
    "TrainingRecord",
    "TrainingSet",
    "commits_of",
    "facts_of",
    "find_leaks",
    "frames_of",
    "function_facts",
    "make_training_set",
    "pip_requirements",
    "record_of",
    "registered",
    "relations_of",
    "table_facts",
    "tags",
]
