"""Lineage: which version of what was made out of which version of what, by which run."""

from boathouse.catalog.lineage.edge import Direction, LineageEdge
from boathouse.catalog.lineage.ledger import Lineage, Source
from boathouse.catalog.lineage.node import KINDS, kind_of, name_of, parse_node
from boathouse.catalog.lineage.walk import Walk

__all__ = ["KINDS", "Direction", "Lineage", "LineageEdge", "Source", "Walk", "kind_of", "name_of", "parse_node"]
