"""A server whose tables lie on an object store, with and without STS, and what its callers hold."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from object_stores import ROLE, Azure

import boathouse
from boathouse.client import Lake


@pytest.fixture(scope="module", params=["sts", "no sts", "azure"])
def cloud_lake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """The operator's connection to a lakehouse whose tables lie on S3 or Azure."""
    environ = dict(os.environ)
    store: Any = request.getfixturevalue("azurite" if request.param == "azure" else "seaweed")
    root = store.container() if isinstance(store, Azure) else f"s3://{store.bucket()}"
    os.environ |= store.environ | {"BOATHOUSE_STORAGE": f"{root}/lake"}
    if request.param == "sts":
        os.environ["BOATHOUSE_STORAGE_ROLE_ARN"] = ROLE
    with boathouse.connect(home=str(tmp_path_factory.mktemp("home"))) as connected:
        for name in store.environ:  # a caller has no keys of its own
            del os.environ[name]
        yield connected
    os.environ.clear()
    os.environ.update(environ)
