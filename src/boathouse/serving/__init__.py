"""Batch, stream and endpoints; whatever the mode, queries and predictions are logged."""

from boathouse.serving.captured import captured_as
from boathouse.serving.endpoints import Endpoints, served_entity
from boathouse.serving.inference_log import (
    BY_CLASS,
    META,
    ensure_silver,
    fitted,
    input_name,
    log_predictions,
    outcomes,
    table_name,
)
from boathouse.serving.model_server import ModelServer
from boathouse.serving.one_write import OneWrite
from boathouse.serving.payload import parse as parse_request
from boathouse.serving.process import Launch
from boathouse.serving.router import Answered, Asked, Router
from boathouse.serving.spool import SCHEMA as PAYLOAD_SCHEMA
from boathouse.serving.spool import Spool, flush
from boathouse.serving.states import EndpointState, ServedVersion
from boathouse.serving.tally import BOUNDS

__all__ = [
    "BOUNDS", "BY_CLASS", "META", "PAYLOAD_SCHEMA", "Answered", "Asked", "EndpointState", "Endpoints", "Launch", "ModelServer",
    "OneWrite", "Router", "ServedVersion", "Spool", "captured_as", "ensure_silver", "fitted", "flush", "input_name",
    "log_predictions", "outcomes", "parse_request", "served_entity", "table_name",
]  # fmt: skip
