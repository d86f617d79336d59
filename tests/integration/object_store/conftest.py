"""A server on S3, with and without STS, and what its callers hold."""

import os
from collections.abc import Iterator

import pytest
from object_stores import ROLE, ObjectStore

import boathouse
from boathouse.client import Lake


@pytest.fixture(scope="module", params=["sts", "no sts"])
def s3_lake(request: pytest.FixtureRequest, seaweed: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """The operator's connection to a lakehouse whose tables lie on S3."""
    environ = dict(os.environ)
    os.environ |= seaweed.environ | {"BOATHOUSE_STORAGE": f"s3://{seaweed.bucket()}/lake"}
    if request.param == "sts":
        os.environ["BOATHOUSE_STORAGE_ROLE_ARN"] = ROLE
    with boathouse.connect(home=str(tmp_path_factory.mktemp("home"))) as connected:
        for name in seaweed.environ:  # a caller has no keys of its own
            del os.environ[name]
        yield connected
    os.environ.clear()
    os.environ.update(environ)
