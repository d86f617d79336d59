"""Where a task runs, if not on this machine: a Ray cluster, which one process here follows."""

import ipaddress
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from boathouse.errors import InvalidInput
from boathouse.jobs import ray_job
from boathouse.jobs.task_process import TaskIdentity, arguments, inherited, told

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class RayCluster:
    """A Ray cluster: the `address` of its dashboard, under which its Jobs API answers.

    `server` is how the cluster reaches this server, empty where it does so as everybody here does. `token` is the cluster's
    own, or a `{{secrets/…}}`. `packages` says whose packages tasks have: those of the `lock`, or the `cluster`'s alone.
    """

    address: str
    server: str = ""
    token: str = ""
    gpus: float = 0.0
    packages: str = "lock"

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "RayCluster":
        """From a compute's `ray`."""
        return cls(str(body["address"]), str(body.get("server") or ""), str(body.get("token") or ""),
                   float(body.get("gpus") or 0), str(body.get("packages") or "lock"))  # fmt: skip

    def reachable(self, url: str) -> str:
        """How the cluster reaches this server, which answers at `url` here. Raises InvalidInput where it cannot."""
        if self.server:
            return self.server.rstrip("/")
        if _is_loopback(url) and not _is_loopback(self.address):
            raise InvalidInput(
                f"the Ray cluster at {self.address} cannot reach this server at {url}: say in the compute how it does, "
                "`ray: {address: …, server: https://…}`"
            )
        return url


def submission(run_id: str, task_key: str, tries: int | None) -> str:
    """The name of one try of a task on a cluster, the same whoever asks."""
    return f"{run_id}-{task_key.replace('.', '-')}-{tries or 0}"


def program(what: str) -> list[str]:
    """What follows a task on a cluster from here, or has it stopped."""
    return [sys.executable, "-I", str(Path(ray_job.__file__)), what]


def followed(cluster: RayCluster, name: str, kind: str, body: Mapping[str, Any], identity: TaskIdentity, *, token: str,
             folder: Path, source: str, variables: Mapping[str, str], resources: Mapping[str, float],
             metadata: Mapping[str, str]) -> dict[str, str]:  # fmt: skip
    """The environment variables of the process that follows a task; `token` is the cluster's. Raises InvalidInput."""
    lock = cluster.packages == "lock"
    spec = {
        "id": name, "address": cluster.address, "token": token, "folder": str(folder), "source": source,
        "client": str(_PACKAGE), "argv": ["-P", "-m", "boathouse.client.task", *arguments(kind, body)],
        "env": {**told(identity), "BOATHOUSE_URL": cluster.reachable(identity.url), **variables},
        "metadata": dict(metadata), "resources": dict(resources),
        "packages": list(identity.packages) if lock else [], "listed": identity.listed if lock else "",
    }  # fmt: skip
    return {**inherited(), "BOATHOUSE_RAY": json.dumps(spec)}


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
