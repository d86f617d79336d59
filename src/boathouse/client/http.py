"""Requests to a Boathouse server; an error it answers is raised here as the class it was there."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx

from boathouse import errors

if TYPE_CHECKING:
    import pyarrow as pa

    from boathouse.lake import Frame

_ARROW = "application/vnd.apache.arrow.stream"
_PATIENCE = 600.0
_AGAIN_SECONDS = 0.5


class Http:
    """A connection that carries one token."""

    def __init__(self, url: str, token: str | None, wait: float = 0, others: Sequence[str] = ()) -> None:
        """`wait`: for so many seconds a server that does not answer is asked again, as it may be starting, or one of `others`."""
        self._wait = wait
        self._others = deque(others)
        self.url = url.rstrip("/")
        self.token = token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        timeout = httpx.Timeout(_PATIENCE, connect=10)
        secured = self.url.startswith("https:")  # without it the certificates are not read, which takes 30 ms
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=False, verify=secured)

    def call(self, method: str, path: str, body: Any = None, params: Mapping[str, Any] | None = None,
             patience: float | None = _PATIENCE) -> Any:  # fmt: skip
        """JSON in, JSON out, within `patience` seconds. Raises the error the server answered, Unavailable when none answers."""
        wanted = {k: v for k, v in (params or {}).items() if v is not None}
        timeout = httpx.Timeout(patience, connect=10)
        response = self._send(method, path, json=body, params=wanted or None, timeout=timeout)  # {} would cut a query off
        return response.json() if response.content else None

    def pages(self, path: str, params: Mapping[str, Any] | None = None, size: int = 1_000) -> Iterator[Any]:
        """The rows of a list, read page by page as they are wanted."""
        wanted = {**{k: v for k, v in (params or {}).items() if v is not None}, "limit": size}
        response = self._send("GET", path, params=wanted)
        while True:
            yield from response.json()
            if "next" not in response.links:
                return
            response = self._send("GET", response.links["next"]["url"])

    def open(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> httpx.Response:
        """An answer whose body is still to be read; close it. Raises the error the server answered, Unavailable."""
        request = self._client.build_request(method, path, json=body, headers=headers, timeout=httpx.Timeout(None, connect=10))
        try:
            response = self._client.send(request, stream=True)
            if not response.is_success:
                response.read()
        except httpx.TransportError as error:
            raise errors.Unavailable(f"no answer from {self.url} ({error}); is `boathouse up` running?") from error
        if response.is_success:
            return response
        raise _error(response)

    def exchange(self, path: str, arguments: Mapping[str, Any], rows: "Frame | None") -> "tuple[Any, pa.Table]":
        """Arguments and rows in, an answer and rows out, both as one Arrow stream."""
        import pyarrow as pa

        from boathouse.lake import packed, unpacked

        content = packed(arguments, {} if rows is None else rows)
        response = self._send("POST", path, content=content, headers={"Content-Type": _ARROW})
        answer, reader = unpacked(pa.BufferReader(response.content))
        return answer, reader.read_all()

    def raw(
        self, method: str, path: str, content: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Bytes in, the whole answer out."""
        return self._send(method, path, content=content, headers={"Content-Type": content_type, **(headers or {})})

    def head(self, path: str) -> Mapping[str, str]:
        """The head of an answer alone."""
        try:
            return self._send("HEAD", path).headers
        except errors.BoathouseError:  # such an answer has no body to say why
            self._send("GET", path, headers={"Range": "bytes=0-0"})
            raise

    def put(self, path: str, chunks: Iterable[bytes]) -> Any:
        """Send bytes piece by piece; JSON out."""
        return self._send("PUT", path, content=chunks, headers={"Content-Type": "application/octet-stream"}).json()

    def stream(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[bytes]:
        """The bytes of an answer, piece by piece as they are wanted."""
        try:
            with self._client.stream("GET", path, headers=headers) as response:
                if not response.is_success:
                    response.read()
                    raise _error(response)
                yield from response.iter_bytes(1 << 20)
        except httpx.TransportError as error:
            raise errors.Unavailable(f"{self.url} broke off ({error}); is `boathouse up` running?") from error

    def text(self, path: str, params: Mapping[str, Any] | None = None) -> httpx.Response:
        """The answer to a GET, not taken apart."""
        return self._send("GET", path, params=params)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        limit = time.monotonic() + self._wait
        try:
            while True:
                try:
                    response = self._client.request(method, path, **arguments)
                    break
                except httpx.ConnectError:  # nothing was sent, so that it can be sent again
                    if time.monotonic() >= limit:
                        raise
                    self._turn()
                    time.sleep(_AGAIN_SECONDS)
        except httpx.TransportError as error:
            raise errors.Unavailable(f"no answer from {self.url} ({error}); is `boathouse up` running?") from error
        if response.is_success:
            return response
        raise _error(response)

    def _turn(self) -> None:
        """Ask the next server from now on, where there are several."""
        if self._others:
            self._others.append(self.url)
            self.url = self._others.popleft().rstrip("/")
            self._client.base_url = httpx.URL(self.url)


def _error(response: httpx.Response) -> errors.BoathouseError:
    try:
        body = response.json()
    except ValueError:
        body = {"message": response.text[:500] or f"HTTP {response.status_code}"}
    return errors.from_dict(body if isinstance(body, dict) else {"message": str(body)}, response.status_code)
