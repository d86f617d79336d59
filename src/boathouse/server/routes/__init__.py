"""The routes of our API, one file a room."""

from boathouse.server.routes import catalog, code, features, functions, identity, jobs, lineage, login, models, operations

ROUTERS = (
    identity.router, login.router, catalog.router, lineage.router, functions.router, features.router, jobs.router,
    code.router, models.router, operations.router,
)  # fmt: skip
