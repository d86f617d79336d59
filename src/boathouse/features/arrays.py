"""Arrow columns as NumPy's integers and back, not copied. Arrow's own ways there load pandas."""

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Truths = NDArray[np.bool_]


def in_one(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def integers(column: pa.Array | pa.ChunkedArray) -> "Integers":
    """A column of 64-bit integers, and anything where they are null."""
    import numpy as np

    whole = in_one(column)
    return np.frombuffer(whole.buffers()[1], np.int64, len(whole), whole.offset * 8) if len(whole) else np.empty(0, np.int64)


def held(column: pa.Array) -> "Truths":
    """Where a column is not null."""
    import numpy as np

    return np.frombuffer(column.is_valid().cast(pa.uint8()).buffers()[1], np.bool_, len(column))


def column_of(values: "Integers", there: "Truths | None" = None) -> pa.Array:
    """64-bit integers as a column, null where they are not there."""
    import numpy as np

    valid = None if there is None else pa.py_buffer(np.packbits(there, bitorder="little"))
    return pa.Array.from_buffers(pa.int64(), len(values), [valid, pa.py_buffer(np.ascontiguousarray(values))])
