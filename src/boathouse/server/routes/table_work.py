"""Operations on tables that the server does for callers who get no keys to the files."""

from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated

import pyarrow as pa
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from boathouse.catalog import work
from boathouse.errors import InvalidInput
from boathouse.lake import Stream, packed, unpacked
from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1", tags=["catalog"])
_ARROW = "application/vnd.apache.arrow.stream"
_IN_MEMORY = 32 << 20


async def _body(request: Request) -> AsyncIterator[IO[bytes]]:
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        async for chunk in request.stream():
            file.write(chunk)
        yield file


@router.post("/tables/{name}/work/{operation}")
def table_work(name: str, operation: str, who: Caller, platform: Served, body: Annotated[IO[bytes], Depends(_body)],
               ) -> StreamingResponse:  # fmt: skip
    """Append, merge, delete and the like: arguments and rows as an Arrow stream, the answer as another."""
    def rows() -> pa.RecordBatchReader:
        body.seek(0)
        return unpacked(body)[1]

    body.seek(0)
    arguments, reader = unpacked(body)
    if not isinstance(arguments, dict):
        raise InvalidInput("the arguments of an operation are an object")
    answer, found = work(platform.catalog, who, name, operation, arguments, Stream(reader.schema, rows))
    return StreamingResponse(packed(answer, found), media_type=_ARROW)
