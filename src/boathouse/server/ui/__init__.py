"""The web UI: pages made on the server straight from the platform, always under the caller's identity."""

from fastapi import APIRouter

from boathouse.server.ui import (
    access,
    account,
    code,
    command_line,
    endpoints,
    environments,
    features,
    jobs,
    lineage,
    login,
    models,
    monitoring,
    oidc,
    people,
    search,
    sql,
    static,
    tables,
    trace,
    volumes,
)
from boathouse.server.ui.refusal import is_page, refusal

router = APIRouter(include_in_schema=False)
for room in (
    static,
    login,
    oidc,
    command_line,
    environments,
    tables,
    features,
    volumes,
    models,
    lineage,
    search,
    monitoring,
    jobs,
    endpoints,
    code,
    sql,
    trace,
    access,
    people,
    account,
):
    router.include_router(room.router)

__all__ = ["is_page", "refusal", "router"]
