"""Processes that run users' code get none of the server's secrets."""

import pytest

from boathouse.jobs import inherited
from boathouse.jobs.task_process import arguments


def test_no_key_of_the_server_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT_KEY", "GOOGLE_SERVICE_ACCOUNT_KEY", "BOATHOUSE_DATABASE_URL",
                 "BOATHOUSE_STORAGE_PROD_AWS_SECRET_ACCESS_KEY", "BOATHOUSE_OIDC_CLIENT_SECRET", "BOATHOUSE_TOKEN"):  # fmt: skip
        monkeypatch.setenv(name, "s3cret")
    assert "s3cret" not in inherited().values()
    assert inherited()["PATH"]


def test_threads_sleep_while_they_wait_unless_the_server_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert inherited()["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert inherited()["OMP_WAIT_POLICY"] == "ACTIVE"


def test_a_wheels_named_parameters_are_words_like_the_others() -> None:
    body = {"package_name": "cellar", "entry_point": "bottle", "parameters": ["a"], "named_parameters": {"count": "3"}}
    assert arguments("python_wheel_task", body) == ["entry", "cellar:bottle", "a", "--count=3"]
