"""Under which name of its own an endpoint's logged requests are read."""

from collections.abc import Mapping
from typing import Any


def captured_as(environment: str, endpoint: str, model: str, definition: Mapping[str, Any]) -> str | None:
    """The full name that the endpoint's `inference_table_config` (or `auto_capture_config`) asks for.

    None where it asks for none, or for the name that the table of the model has anyway.
    """
    gateway, config = definition.get("ai_gateway") or {}, definition.get("config") or {}
    asked = gateway.get("inference_table_config") or config.get("auto_capture_config") or {}
    schema, prefix = asked.get("schema_name"), asked.get("table_name_prefix")
    if not schema and not prefix:
        return None
    name = f"{environment}.{schema or model.split('.')[1]}.{prefix or endpoint.replace('-', '_')}_payload"
    return None if name == f"{model}_payload" else name
