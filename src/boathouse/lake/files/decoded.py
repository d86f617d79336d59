"""A file's text as UTF-8, block by block, whatever its compression and encoding."""

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from boathouse.errors import InvalidInput
from boathouse.lake.files.input_file import InputFile

BLOCK = 8 << 20
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

OnRead = Callable[[int], None]
"""Told how many more of the file's own bytes were read."""


class _Counted(io.RawIOBase):
    """A stream that tells how far it was read."""

    def __init__(self, stream: BinaryIO, on_read: OnRead | None) -> None:
        self._stream = stream
        self._on_read = on_read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self._stream.read(len(view))
        view[: len(data)] = data
        if self._on_read:
            self._on_read(len(data))
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def text_blocks(file: InputFile, encoding: str | None = None, on_read: OnRead | None = None) -> Iterator[bytes]:
    """The text as UTF-8 without a byte order mark, its lines ended by LF or CRLF.

    Without an encoding a byte order mark decides, else it is taken for UTF-8 and not checked.
    Raises InvalidInput for an unknown encoding, bytes that do not fit the one given, and a broken compression.
    """
    codec = _codec(encoding)
    raw = io.BufferedReader(_Counted(file.open(), on_read), BLOCK)
    with raw:
        stream: BinaryIO = gzip.GzipFile(fileobj=raw) if file.compressed else raw  # type: ignore[assignment]
        lone_cr: bool | None = None
        for block in _decoded(_raw_blocks(stream, file.name), codec, file.name):
            if lone_cr is None:
                lone_cr = b"\r" in block and b"\n" not in block
            yield block.replace(b"\r", b"\n") if lone_cr else block


def _codec(encoding: str | None) -> str | None:
    if encoding is None:
        return None
    try:
        return codecs.lookup(encoding).name
    except LookupError as error:
        raise InvalidInput(f"the encoding {encoding!r} is unknown; for example utf-8, latin-1, cp1252, utf-16") from error


def _raw_blocks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        while block := stream.read(BLOCK):
            yield block
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidInput(f"{name} cannot be decompressed ({error}); nothing of it was taken") from error


def _decoded(blocks: Iterator[bytes], codec: str | None, name: str) -> Iterator[bytes]:
    first = next(blocks, b"")
    if codec is None:
        mark, codec = next(((m, c) for m, c in _MARKS if first.startswith(m)), (b"", "utf-8"))
        first = first[len(mark) :]
    elif codec == "utf-8" and first.startswith(codecs.BOM_UTF8):
        first = first[len(codecs.BOM_UTF8) :]
    if codec == "utf-8":
        yield first
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        yield decoder.decode(first).encode()
        for block in blocks:
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise InvalidInput(f"{name} is no {codec} text ({error}); say which with --encoding") from error
