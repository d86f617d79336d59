"""OpenLineage: our lineage in its words, and its events as our lineage."""

from boathouse.catalog.openlineage.receiver import Receiver
from boathouse.catalog.openlineage.vocabulary import PRODUCER, Vocabulary

__all__ = ["PRODUCER", "Receiver", "Vocabulary"]
