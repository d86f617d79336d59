"""Training: sets by point-in-time lookups, and the record that lets a version be made again."""

from boathouse.training.leaks import find_leaks
from boathouse.training.record import TrainingRecord, pip_requirements, record_of, tags
from boathouse.training.training_set import (
    TrainingSet,
    facts_of,
    make_training_set,
    registered,
    relations_of,
    table_facts,
)

__all__ = [
    "TrainingRecord",
    "TrainingSet",
    "facts_of",
    "find_leaks",
    "make_training_set",
    "pip_requirements",
    "record_of",
    "registered",
    "relations_of",
    "table_facts",
    "tags",
]
