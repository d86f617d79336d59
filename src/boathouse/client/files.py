"""Files in and out: CSV, JSON lines and Parquet as rows."""

import json
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from boathouse.errors import InvalidInput, NotFound
from boathouse.lake import Relation

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


def write_rows(rows: Relation, form: str, out: IO[bytes]) -> None:
    """Rows as CSV, a JSON array or Parquet. Raises InvalidInput for another format."""
    if form not in _FORMATS:
        raise InvalidInput(f"the format {form!r} is unknown; use table, {', '.join(_FORMATS)}")
    table = rows.to_arrow()
    if form == "csv":
        pyarrow.csv.write_csv(table, out)
    elif form == "parquet":
        pyarrow.parquet.write_table(table, out)
    else:
        out.write(json.dumps(table.to_pylist(), default=str).encode() + b"\n")
    out.flush()
