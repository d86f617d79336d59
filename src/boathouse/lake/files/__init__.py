"""Rows in files: CSV, JSON and Parquet, found, told apart, typed and set aside."""

from boathouse.lake.files.input_file import InputFile, find_files, is_input, local_file
from boathouse.lake.files.options import ReadOptions
from boathouse.lake.files.staging import Staging
from boathouse.lake.files.typing import Typing

__all__ = ["InputFile", "ReadOptions", "Staging", "Typing", "find_files", "is_input", "local_file"]
