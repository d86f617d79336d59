"""A message with rows, as one Arrow stream: how table operations go to a server and their answers come back."""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from boathouse.errors import InvalidInput
from boathouse.lake.frames import Frame, batches

_KEY = b"boathouse.message"


class _Chunks:
    """A file that hands on what is written to it."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: Any) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def packed(message: Any, frame: Frame) -> Iterator[bytes]:
    """The bytes of a JSON-like message and a frame's rows, batch by batch."""
    reader, sink = batches(frame), _Chunks()
    schema = reader.schema.with_metadata({_KEY: json.dumps(message).encode()})
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), schema) as writer:
        for batch in reader:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
            yield sink.take()
    yield sink.take()


def unpacked(source: Any) -> tuple[Any, pa.RecordBatchReader]:
    """The message, and the rows to come. Raises InvalidInput for what is no such stream."""
    try:
        reader = pa.ipc.open_stream(source)
        message = json.loads((reader.schema.metadata or {})[_KEY])
    except (pa.ArrowInvalid, KeyError, ValueError) as error:
        raise InvalidInput("an Arrow stream with a message was expected") from error
    schema = reader.schema.remove_metadata()
    rows = (batch.replace_schema_metadata(None) for batch in reader)
    return message, pa.RecordBatchReader.from_batches(schema, rows)
