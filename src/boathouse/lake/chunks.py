"""Chunks of bytes as a file."""

import io
from collections.abc import Iterator


class Chunks(io.RawIOBase):
    """Chunks of bytes as a file that is read once; what goes wrong in them comes out of `read` as it is."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """For pyarrow."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes; fewer than `size` at the end only."""
        parts, missing = [], size
        while missing != 0:
            if not len(self._left):
                chunk = next(self._chunks, None)
                if chunk is None:
                    break
                self._left = memoryview(chunk)
            part = self._left if missing < 0 else self._left[:missing]
            self._left = self._left[len(part) :]
            parts.append(part)
            missing = missing - len(part) if missing > 0 else missing
        return b"".join(parts)
