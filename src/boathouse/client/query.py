"""A query's answer as it comes over HTTP; whoever stops reading ends the query."""

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pyarrow as pa

from boathouse.client.http import Http
from boathouse.errors import BoathouseError, Unavailable, from_dict
from boathouse.lake import Chunks

_ARROW = "application/vnd.apache.arrow.stream"


class Answer:
    """The rows of one answer as an Arrow stream. Raises what the query fails with, before its rows or between them."""

    def __init__(self, http: Http, body: Mapping[str, Any]) -> None:
        self._http = http
        self._response: httpx.Response | None = None
        self.query_id = uuid.uuid4().hex
        with self._ended_by_hand():
            self._response = http.open("POST", "/api/v1/sql", {**body, "query_id": self.query_id}, {"Accept": _ARROW})
        self.reader: pa.RecordBatchReader = pa.ipc.open_stream(Chunks(self._pieces(self._response)))

    def close(self) -> None:
        """Read no more; the server hears of it."""
        if self._response:
            self._response.close()

    def _pieces(self, response: httpx.Response) -> Iterator[bytes]:
        with self._ended_by_hand():
            try:
                yield from response.iter_raw(1 << 20)
            except httpx.TransportError as error:
                raise self._fault(error) from error

    @contextlib.contextmanager
    def _ended_by_hand(self) -> Iterator[None]:
        """Ctrl-C ends the query on the server, too."""
        try:
            yield
        except KeyboardInterrupt:
            with contextlib.suppress(BoathouseError):
                self._http.call("DELETE", f"/api/v1/sql/{self.query_id}", patience=5)
            raise

    def _fault(self, broken: Exception) -> BoathouseError:
        """Why the rows stopped before their end: the server keeps it under the query's id."""
        with contextlib.suppress(BoathouseError):
            ended = self._http.call("GET", f"/api/v1/sql/{self.query_id}", patience=10)
            if ended["error"]:
                return from_dict({"error_code": ended["error_code"], "message": ended["error"]}, 500)
        return Unavailable(f"the rows broke off ({broken}); is `boathouse up` running?")
