"""Runs the server: in a thread of a process that owns the home, or as the whole process."""

import errno
import socket
import threading
import time
from collections.abc import Awaitable, Callable

import uvicorn

from boathouse.errors import InvalidInput, PortInUse, Unavailable
from boathouse.platform import Platform
from boathouse.server.app import create_app
from boathouse.serving import OneWrite

_LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])


class Server:
    """Serves a platform until `stop`, on loopback unless another address of this machine is named."""

    def __init__(self, platform: Platform, port: int = 0, host: str = _LOOPBACK) -> None:
        """Raises PortInUse, and InvalidInput for an address that this machine has not."""
        self._socket = _listen(host, port)
        address = _LOOPBACK if host in ("0.0.0.0", "localhost") else host
        self.url = f"http://{address}:{self._socket.getsockname()[1]}"
        self.platform = platform
        self._app = create_app(platform)
        config = uvicorn.Config(
            self._app, log_level="warning", lifespan="off", timeout_graceful_shutdown=3, access_log=False,
            server_header=False, http=OneWrite,
        )  # fmt: skip
        self._server = _Uvicorn(config, self._app.release)
        self._thread: threading.Thread | None = None

    def start(self, warm: bool = False) -> str:
        """Answer from a thread; the address. Raises Unavailable when it does not come up.

        `warm` imports MLflow and starts model servers now rather than when they are first needed.
        """
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="http", daemon=True
        )
        self._thread.start()
        limit = time.monotonic() + 30
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > limit:
                raise Unavailable(f"the server did not come up on {self.url}")
            time.sleep(0.01)
        self.platform.start(self.url, lazily=not warm)
        if warm:
            self._app.warm_up()
        return self.url

    def stop(self) -> None:
        """Answer no more."""
        self._server.should_exit = True
        if self._thread:
            self._thread.join(10)
        self._app.close()
        self._socket.close()


class _Uvicorn(uvicorn.Server):
    """Lets go of what belongs to the event loop while the loop still runs."""

    def __init__(self, config: uvicorn.Config, release: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._release = release

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End connections, in and out."""
        await super().shutdown(sockets)
        await self._release()


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise InvalidInput(f"{host} is no IPv4 address of this machine; 0.0.0.0 means all of them") from error
        raise PortInUse(f"port {port} is in use; choose another with --port") from error
    listener.listen(2048)
    return listener
