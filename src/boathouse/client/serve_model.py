"""The start of a model server's process."""

import argparse
import logging
import os
import socket
import sys
import threading
import time
from pathlib import Path

import uvicorn

from boathouse import context
from boathouse.client.http import Http
from boathouse.client.lake import Lake
from boathouse.features import FeatureSpec, FeatureSpecInfo, RoutedStores
from boathouse.scoring import Model, load, spec_alone
from boathouse.serving import ModelServer, OneWrite, Spool

_KEPT_SECONDS = 7 * 24 * 3600
"""A connection of the platform's is closed by the platform: it could not tell a closing one from one that fails."""


def main() -> None:
    """Serve one endpoint on the socket that was handed over, until killed."""
    parser = argparse.ArgumentParser()
    for name in ("endpoint", "slot", "model", "environment", "url", "spool"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("socket", "secrets", "queue"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--features-only", action="store_true", help="`model` names a feature spec")
    parser.add_argument("--durable", action="store_true", help="the log outlives a power cut")
    given = parser.parse_args()
    form = f"%(asctime)s {given.slot} %(levelname)s %(message)s"
    logging.basicConfig(level=logging.WARNING, format=form, stream=sys.stdout)
    logging.getLogger("boathouse").setLevel(logging.INFO)
    with os.fdopen(given.secrets) as pipe:
        token, key = pipe.read().split("\n")
    lake = Lake(Http(given.url, token), given.environment)
    context.use(lake)

    def bring(version: int) -> Model:
        if given.features_only:
            found = FeatureSpecInfo.from_dict(lake.call("GET", f"/api/v1/feature-specs/{given.model}"))
            return spec_alone(found.name, str(found.id), FeatureSpec.from_yaml(found.spec))
        return load(lake, f"models:/{given.model}/{version}")

    stores = RoutedStores(given.environment, lambda: lake.call("GET", f"/api/v1/online-stores/{given.environment}/locations"))
    server = ModelServer(given.endpoint, bring, stores, Spool(Path(given.spool), given.durable), key, given.queue)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    config = uvicorn.Config(
        server, log_level="warning", lifespan="off", access_log=False, server_header=False, date_header=False,
        timeout_keep_alive=_KEPT_SECONDS, http=OneWrite, proxy_headers=False,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=given.socket)])


def _end_with_parent(parent: int) -> None:
    """A model server whose platform died answers nobody; it must not linger."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


if __name__ == "__main__":
    main()
