"""Object stores for tests, each a program of its own on a free loopback port: SeaweedFS and moto for S3, Azurite for Azure.

SeaweedFS enforces policies of sessions; moto is the plain one that is always installed.
"""

import base64
import hashlib
import hmac
import json
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest

ROLE = "arn:aws:iam::123456789012:role/Lake"
_KEY, _SECRET = "server-key", "server-secret"

_ACCOUNT = "devstoreaccount1"
_ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

_ROLES = {
    "sts": {"issuer": "tests", "signingKey": "dGVzdC1zaWduaW5nLWtleS0zMi1jaGFyYWN0ZXJzLWxvbmc=",
            "tokenDuration": "1h", "maxSessionLength": "12h"},
    "policy": {"defaultEffect": "Deny", "storeType": "memory"},
    "roles": [{
        "roleName": "Lake", "roleArn": ROLE, "attachedPolicies": ["Everything"],
        "trustPolicy": {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": ["sts:AssumeRole"],
            "Principal": {"AWS": "arn:aws:iam::000000000000:user/server"},
        }]},
    }],
    "policies": [{"name": "Everything", "document": {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}]}}],
    "providers": [],
}  # fmt: skip
_USERS = {"identities": [{"name": "server", "credentials": [{"accessKey": _KEY, "secretKey": _SECRET}],
                          "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}  # fmt: skip


@dataclass(frozen=True)
class ObjectStore:
    """A server that speaks S3 and STS, and the variables with which a Boathouse server would reach it."""

    endpoint: str

    @property
    def environ(self) -> dict[str, str]:
        """The server's own keys, as environment variables."""
        return {"AWS_ACCESS_KEY_ID": _KEY, "AWS_SECRET_ACCESS_KEY": _SECRET, "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": self.endpoint}  # fmt: skip

    def client(self, **credentials: str) -> Any:
        """boto3's client, under the server's keys or others."""
        import boto3

        given = {"aws_access_key_id": _KEY, "aws_secret_access_key": _SECRET} | credentials
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", **given)

    def bucket(self) -> str:
        """A new, empty bucket."""
        name = f"lake-{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return name


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """SeaweedFS: S3 with conditional puts, and STS whose sessions keep to their policies."""
    program = shutil.which("weed", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("SeaweedFS is not installed: `make test` does that on Linux x86_64")
    folder = tmp_path_factory.mktemp("seaweed")
    (folder / "roles.json").write_text(json.dumps(_ROLES))
    (folder / "users.json").write_text(json.dumps(_USERS))
    master, masters, volume, volumes, filer, filers, s3, s3s = _free_ports(8)
    flags = {
        "dir": folder, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "master.port": master, "master.port.grpc": masters,
        "master.volumeSizeLimitMB": 64, "master.telemetry": "false", "volume.port": volume, "volume.port.grpc": volumes,
        "volume.max": 500, "volume.preStopSeconds": 0, "filer": "true", "filer.port": filer, "filer.port.grpc": filers,
        "filer.localSocket": folder / "filer.sock", "s3": "true", "s3.port": s3, "s3.port.grpc": s3s,
        "s3.port.iceberg": 0, "s3.port.lance": 0, "s3.localSocket": folder / "s3.sock", "s3.autoCreateBucket": "false",
        "s3.config": folder / "users.json", "s3.iam.config": folder / "roles.json",
    }  # fmt: skip
    command = [program, "server", *(f"-{flag}={value}" for flag, value in flags.items())]
    with _running(command, f"http://127.0.0.1:{s3}/status", folder / "log") as endpoint:
        yield ObjectStore(endpoint)
    for port in (masters, volumes, filers, s3s):  # it leaves sockets behind, whatever TMPDIR says
        for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):
            left.unlink()


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """moto's server: delta-rs holds Python's lock in some calls, so it must be a process of its own."""
    (port,) = _free_ports(1)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    log = tmp_path_factory.mktemp("moto") / "log"
    with _running(command, f"http://127.0.0.1:{port}/moto-api/", log) as endpoint:
        yield ObjectStore(endpoint)


@dataclass(frozen=True)
class Azure:
    """Azurite, and the variables with which a Boathouse server would reach it."""

    endpoint: str

    @property
    def environ(self) -> dict[str, str]:
        """The account's key, which every Azurite knows."""
        return {"AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": _ACCOUNT_KEY,
                "AZURE_STORAGE_ENDPOINT": self.endpoint}  # fmt: skip

    def container(self) -> str:
        """The URL of a new, empty container."""
        name = f"lake-{uuid.uuid4().hex[:12]}"
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
        signed = "PUT" + "\n" * 12 + "".join(f"{k}:{v}\n" for k, v in headers.items())
        signed += f"/{_ACCOUNT}/{_ACCOUNT}/{name}\nrestype:container"
        digest = hmac.new(base64.b64decode(_ACCOUNT_KEY), signed.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {_ACCOUNT}:{base64.b64encode(digest).decode()}"
        httpx.put(f"{self.endpoint}/{name}?restype=container", headers=headers, trust_env=False).raise_for_status()
        return f"abfss://{name}@{_ACCOUNT}.dfs.core.windows.net"


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    """Azurite: Azure's blobs, with conditional puts and listings from a name on."""
    program = Path(sys.prefix) / "azurite/node_modules/azurite/dist/src/blob/main.js"
    node = shutil.which("node")
    if node is None or not program.exists():
        pytest.skip("Azurite is not installed: `make test` does that where npm is")
    folder, (port,) = tmp_path_factory.mktemp("azurite"), _free_ports(1)
    command = [node, str(program), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder),
               "--skipApiVersionCheck", "--disableTelemetry"]  # fmt: skip
    with _running(command, f"http://127.0.0.1:{port}/{_ACCOUNT}", folder / "log") as endpoint:
        yield Azure(endpoint)


class _running:
    """A server process that answers at an address, until the block ends."""

    def __init__(self, command: list[str], probe: str, log: Path) -> None:
        self._command, self._probe, self._log = command, probe, log

    def __enter__(self) -> str:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=subprocess.STDOUT)
        transport = httpx.HTTPTransport(retries=8)  # each waits twice as long as the one before
        try:
            with httpx.Client(transport=transport, timeout=60, trust_env=False) as client:
                client.get(self._probe)
        except httpx.TransportError:
            self.__exit__()
            pytest.fail(f"{self._command[0]} did not start: {self._log.read_text()[-2000:]}")
        return self._probe.removesuffix("/status").removesuffix("/moto-api/")

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
