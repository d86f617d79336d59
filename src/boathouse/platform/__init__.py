"""The composition root: opens the home and its database, builds every room, hands out the Platform."""

from boathouse.platform.federation import WORKLOAD_LIFETIME
from boathouse.platform.lineage_text import to_dot, to_mermaid
from boathouse.platform.platform import Platform
from boathouse.platform.run_hooks import tests_going
from boathouse.platform.seen_lineage import Ways
from boathouse.platform.shared_experiments import SharedExperiments

__all__ = ["WORKLOAD_LIFETIME", "Platform", "SharedExperiments", "Ways", "tests_going", "to_dot", "to_mermaid"]
