"""A query's answer as it comes over HTTP; whoever stops reading ends the query."""

import contextlib
import io
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pyarrow as pa

from boathouse.client.http import Http
from boathouse.errors import BoathouseError, Unavailable, from_dict

_ARROW = "application/vnd.apache.arrow.stream"


class Answer(io.RawIOBase):
    """Bytes of one answer, and their Arrow stream. Raises what the query fails with, before its rows or between them."""

    def __init__(self, http: Http, body: Mapping[str, Any]) -> None:
        self._http = http
        self.query_id = uuid.uuid4().hex
        self._left = memoryview(b"")
        try:
            self._response = http.open("POST", "/api/v1/sql", {**body, "query_id": self.query_id}, {"Accept": _ARROW})
            self._chunks: Iterator[bytes] = self._response.iter_raw(1 << 20)
            self.reader: pa.RecordBatchReader = pa.ipc.open_stream(self)
        except KeyboardInterrupt:
            self.cancel()
            raise

    def cancel(self) -> None:
        """End the query on the server, where it still runs."""
        with contextlib.suppress(BoathouseError):
            self._http.call("DELETE", f"/api/v1/sql/{self.query_id}", patience=5)

    def close(self) -> None:
        """Read no more; the server hears of it."""
        if not self.closed and hasattr(self, "_response"):
            self._response.close()
        super().close()

    def readable(self) -> bool:
        """For pyarrow."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes; fewer than `size` at the end only."""
        parts, missing = [], size
        while missing:
            if not len(self._left):
                self._left = memoryview(self._next())
                if not len(self._left):
                    break
            part = self._left if missing < 0 else self._left[:missing]
            self._left = self._left[len(part) :]
            parts.append(part)
            missing -= len(part) if missing > 0 else 0
        return b"".join(parts)

    def _next(self) -> bytes:
        try:
            return next(self._chunks, b"")
        except httpx.TransportError as error:
            raise self._fault(error) from error
        except KeyboardInterrupt:
            self.cancel()
            raise

    def _fault(self, broken: Exception) -> BoathouseError:
        """Why the rows stopped before their end: the server keeps it under the query's id."""
        with contextlib.suppress(BoathouseError):
            ended = self._http.call("GET", f"/api/v1/sql/{self.query_id}", patience=10)
            if ended["error"]:
                return from_dict({"error_code": ended["error_code"], "message": ended["error"]}, 500)
        return Unavailable(f"the rows broke off ({broken}); is `boathouse up` running?")
