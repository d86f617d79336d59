"""Notebooks as text: the cells of a .py notebook, and parameters put into one."""

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

_BREAK = re.compile(r"^# (?:COMMAND -{2,}|%%(?P<kind>.*))[^\S\n]*$", re.MULTILINE)
_MAGIC = re.compile(r"^# MAGIC ?", re.MULTILINE)
_LANGUAGE = re.compile(r"%(?:sql|sh)\b")
_HEADER = "# Databricks notebook source"


def cells_of(text: str) -> list[tuple[str, str]]:
    """("code" or "markdown", source) of each cell of a .py notebook, cut at `# %%` or `# COMMAND ----------`."""
    pieces, kinds, start = [], [""], 0
    for mark in _BREAK.finditer(text):
        pieces.append(text[start : mark.start()])
        kinds.append(mark["kind"] or "")
        start = mark.end()
    pieces.append(text[start:])
    cells = [_cell(piece, kind) for piece, kind in zip(pieces, kinds, strict=True)]
    return [(kind, source) for kind, source in cells if source]


def _cell(piece: str, kind: str) -> tuple[str, str]:
    source = piece.removeprefix(_HEADER).strip()
    if "[markdown]" in kind:
        return "markdown", re.sub(r"^# ?", "", source, flags=re.MULTILINE)
    if source.startswith("# MAGIC"):
        source = _MAGIC.sub("", source)
        if source.startswith("%md"):
            return "markdown", source.removeprefix("%md").strip()
    return "code", for_kernel(source)


def for_kernel(source: str) -> str:
    """A cell's code, a language of the whole cell (`%sql`, `%sh`, `%python`) said as the kernel says it."""
    words = source.lstrip()
    if words.startswith("%python"):
        return words.removeprefix("%python").lstrip()
    return f"%{words}" if _LANGUAGE.match(words) else source


def assignments(defaults: str, parameters: Mapping[str, str]) -> str:
    """Python that sets parameters, each in the type that its literal in the cell of defaults has; else as text."""
    types: dict[str, Any] = {}
    for line in ast.parse(defaults).body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            types[line.targets[0].id] = _literal(ast.unparse(line.value))
    known = {name: value for name, value in parameters.items() if name.isidentifier()}
    return "\n".join(f"{name} = {_typed(value, types.get(name))!r}" for name, value in known.items())


def _typed(value: str, default: Any) -> Any:
    if default is None or isinstance(default, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        literal = _literal(value)
        return value if literal is None else literal


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
