"""What the API's OpenAPI description says of every route beyond its own answers: who may ask, and the shape of a refusal."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

_OPEN = ("/api/v1/login", "/api/v1/webhooks/git/")
_ERROR = {
    "type": "object",
    "title": "Error",
    "required": ["error_code", "message", "details"],
    "properties": {
        "error_code": {"type": "string"},
        "message": {"type": "string", "description": "what happened, to which name, and what to do next"},
        "details": {"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]},
    },
}
_SHARING_ERROR = {
    "type": "object",
    "title": "SharingError",
    "required": ["errorCode", "message"],
    "properties": {"errorCode": {"type": "string"}, "message": {"type": "string"}},
}


def _refused(schema: str) -> dict[str, Any]:
    said = "refused: 400 what cannot be right, 401 without an identity, 403 without a privilege, 404 what is not there"
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": said, "content": content}


def description(api: FastAPI) -> dict[str, Any]:
    """The document, made once: FastAPI's own, whose 422 no route answers, with our refusals and the bearer token."""
    if api.openapi_schema is None:
        made = get_openapi(title=api.title, version=api.version, routes=api.routes)
        for path, operations in made["paths"].items():
            for operation in operations.values():
                operation["responses"].pop("422", None)
                theirs = path.startswith("/delta-sharing/")  # a protocol with a shape of its own
                operation["responses"]["default"] = _refused("SharingError" if theirs else "Error")
                if path.startswith(_OPEN):
                    operation["security"] = []
        components = made.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas.update(Error=_ERROR, SharingError=_SHARING_ERROR)
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"token": []}]
        api.openapi_schema = made
    return api.openapi_schema
