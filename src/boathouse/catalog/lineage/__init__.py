"""Lineage: which version of what was made out of which version of what, by which run."""

from boathouse.catalog.lineage.column_walk import ColumnEdge
from boathouse.catalog.lineage.columns import ALL_COLUMNS, mappings_of
from boathouse.catalog.lineage.edge import Direction, LineageEdge
from boathouse.catalog.lineage.graph import GraphEdge, GraphNode, LineageGraph, graph_of, veiled
from boathouse.catalog.lineage.ledger import Lineage, Made, Source
from boathouse.catalog.lineage.node import KINDS, kind_of, name_of, number_of, parse_node
from boathouse.catalog.lineage.shaping import nearest, only, with_jobs
from boathouse.catalog.lineage.spans import NEWEST, Spans, inside
from boathouse.catalog.lineage.walk import Walk

__all__ = [
    "ALL_COLUMNS", "KINDS", "NEWEST", "ColumnEdge", "Direction", "GraphEdge", "GraphNode", "Lineage", "LineageEdge",
    "LineageGraph", "Made", "Source", "Spans", "Walk", "graph_of", "inside", "kind_of", "mappings_of", "name_of", "nearest",
    "number_of", "only", "parse_node", "veiled", "with_jobs",
]  # fmt: skip
