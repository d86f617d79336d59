"""The routes of our API, one file a room."""

from boathouse.server.routes import (
    catalog,
    code,
    features,
    federation,
    functions,
    grants,
    identity,
    jobs,
    lineage,
    locations,
    login,
    models,
    operations,
    shares,
    sql,
    table_work,
)

ROUTERS = (
    identity.router,
    grants.router,
    login.router,
    federation.router,
    catalog.router,
    sql.router,
    table_work.router,
    lineage.router,
    locations.router,
    functions.router,
    features.router,
    jobs.router,
    code.router,
    models.router,
    operations.router,
    shares.router,
)
