"""A server over a home with a few people, and their browsers."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browsers import Browser, browsers

from boathouse.platform import Platform
from boathouse.server import Server
from boathouse.settings import load

PEOPLE = {"ada": "data-scientists", "grace": "ml-engineers", "anna": "business-analysts"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Platform(load({}, home=str(tmp_path_factory.mktemp("home")))) as platform:
        for name, group in PEOPLE.items():
            platform.identities.create(name, "user")
            platform.identities.add_member(group, name)
        server = Server(platform)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="module")
def platform(server: Server) -> Platform:
    return server.platform


@pytest.fixture(scope="module")
def browser(server: Server) -> Iterator[Browser]:
    with browsers(server) as open_as:
        yield open_as


@pytest.fixture(autouse=True)
def _forgiven(platform: Platform) -> Iterator[None]:
    """Failed logins of one test do not slow down the next."""
    yield
    with platform.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM bh_login_attempts")


class Idp:
    """The provider's side, over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def user(self, subject: str, **claims: Any) -> None:
        """Somebody who can log in there."""
        self._client.put(f"/users/{subject}", json=claims).raise_for_status()

    def spoil(self, **what: Any) -> None:
        """What shall be wrong with the next tokens."""
        self._client.put("/spoil", json=what).raise_for_status()

    def sign(self, **claims: Any) -> str:
        """A token with these claims."""
        return self._client.post("/sign", json=claims).raise_for_status().text

    def answer(self, address: str, subject: str) -> str:
        """Log in at the address that a browser was sent to; where it is sent back to."""
        return self._client.post(address, data={"sub": subject}).headers["location"]

    def close(self) -> None:
        self._client.close()


@pytest.fixture(scope="module")
def idp() -> Iterator[Idp]:
    """oidc-provider-mock in a process of its own."""
    script = Path(__file__).with_name("provider.py")
    with subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as process:  # fmt: skip
        assert process.stdout
        made = Idp(process.stdout.readline().strip())
        yield made
        made.close()
        process.kill()
