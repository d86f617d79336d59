"""What a caller may say of the files' form; the rest is found out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadOptions:
    """`format` is csv, json or parquet. `nulls` are unquoted words of a CSV that mean nothing is there."""

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    header: bool | None = None
    nulls: tuple[str, ...] = ()
    date_format: str | None = None
