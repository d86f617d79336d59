"""Delta Sharing: tables of a share, to whoever comes with a recipient's token, under the recipient's own grants."""

from fastapi import FastAPI

from boathouse.server.sharing import files, protocol

ROUTERS = (protocol.router, files.router)


def add_sharing(api: FastAPI) -> None:
    """Serve the protocol."""
    for router in ROUTERS:
        api.include_router(router)
