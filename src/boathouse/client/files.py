"""Files in and out: CSV, JSON lines and Parquet as rows."""

from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from boathouse import lake
from boathouse.errors import InvalidInput, NotFound
from boathouse.lake import Frame

_FORMATS = ("csv", "json", "parquet")


def read_file(path: Path) -> pa.Table:
    """Rows of a file, its types inferred. Raises NotFound, InvalidInput."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    read = {".csv": pyarrow.csv.read_csv, ".json": pyarrow.json.read_json, ".jsonl": pyarrow.json.read_json,
            ".ndjson": pyarrow.json.read_json, ".parquet": pyarrow.parquet.read_table}  # fmt: skip
    if path.suffix.lower() not in read:
        raise InvalidInput(f"{path.name}: only .csv, .json, .jsonl and .parquet files are read")
    try:
        return read[path.suffix.lower()](path)
    except pa.ArrowInvalid as error:
        raise InvalidInput(f"{path.name} cannot be read: {error}") from error


def write_rows(rows: Frame, form: str, out: IO[bytes]) -> int:
    """Rows as CSV, a JSON array or Parquet, as they come; how many. Raises InvalidInput for another format."""
    if form not in _FORMATS:
        raise InvalidInput(f"the format {form!r} is unknown; use table, {', '.join(_FORMATS)}")
    count = lake.write_rows(lake.batches(rows), "array" if form == "json" else form, lambda chunk: out.write(chunk))  # noqa: PLW0108
    out.flush()
    return count
