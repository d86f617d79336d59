"""Parquet files as found rows: read where they lie, in their own types."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from boathouse.errors import InvalidInput
from boathouse.lake import literals
from boathouse.lake.files.decoded import OnRead
from boathouse.lake.files.headers import clean_names
from boathouse.lake.files.input_file import InputFile
from boathouse.lake.files.rows import FoundColumn, FoundRows, sql_list
from boathouse.lake.frames import normalised
from boathouse.lake.literals import quoted


def stage_parquet(files: Sequence[InputFile], folder: Path, on_read: OnRead | None = None) -> FoundRows:
    """The rows of Parquet files; columns of equal names are one. Raises InvalidInput for what is no Parquet."""
    parts: list[str] = []
    schemas: list[pa.Schema] = []
    headers: dict[str, tuple[str, str]] = {}
    staged: dict[str, str] = {}
    for number, file in enumerate(files):
        path = file.path or _copied(file, folder / f"copy-{number}.parquet")
        found = _schema(file, path)
        names = clean_names(found.names)
        for name, header in zip(names, found.names, strict=True):
            headers.setdefault(name.casefold(), (name, header))
            staged.setdefault(headers[name.casefold()][0], f"c{len(staged)}")
        kept = [headers[name.casefold()][0] for name in names]
        listed = ", ".join(f"{quoted(old)} AS {staged[new]}" for old, new in zip(found.names, kept, strict=True))
        place = f"{literals.text(file.name)} AS _file, file_row_number + 1 AS _line, 0 AS _offset, 0 AS _length"
        parts.append(f"SELECT {listed}, {place} "
                     f"FROM read_parquet({sql_list([path])}, file_row_number=true)")  # fmt: skip
        schemas.append(pa.schema([field.with_name(new) for field, new in zip(found, kept, strict=True)]))
        if on_read:
            on_read(file.size)
    together = _unified(schemas)
    by_name = dict(headers.values())
    columns = tuple(FoundColumn(f.name, by_name[f.name], staged[f.name], "native", f.type) for f in together)
    view = "(" + " UNION ALL BY NAME ".join(parts) + ")"
    row = ", ".join(f"{quoted(c.header)} := {c.sql}" for c in columns)
    return FoundRows(view, columns, raw=f"to_json(struct_pack({row}))::VARCHAR")


def _schema(file: InputFile, path: Path) -> pa.Schema:
    try:
        found = pyarrow.parquet.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InvalidInput(f"{file.name} is no whole Parquet file: {str(error).splitlines()[0]}") from error
    if len(found.names) != len(set(found.names)):
        raise InvalidInput(f"{file.name} has two columns of one name; write it anew with other names")
    return normalised(found)


def _unified(schemas: Sequence[pa.Schema]) -> pa.Schema:
    try:
        return pa.unify_schemas(list(schemas), promote_options="permissive")
    except pa.ArrowTypeError as error:
        raise InvalidInput(f"the files do not fit together: {str(error).splitlines()[0]}; import them one by one") from error


def _copied(file: InputFile, target: Path) -> Path:
    with file.open() as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
    return target
