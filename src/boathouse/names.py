"""Names of securables: `environment.schema.object`, and how code that writes two levels is completed."""

import re
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from boathouse.errors import InvalidName

_LEVEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
SCRATCH_MARK = "__"
_SCRATCH_SCHEMA = re.compile(rf"(?:mr|rp)\d+{SCRATCH_MARK}.+")


@dataclass(frozen=True)
class Name:
    """A full three-level name."""

    catalog: str
    schema: str
    object: str

    def __str__(self) -> str:
        return f"{self.catalog}.{self.schema}.{self.object}"

    @property
    def schema_name(self) -> str:
        """The schema that holds it, `catalog.schema`."""
        return f"{self.catalog}.{self.schema}"

    @property
    def short(self) -> str:
        """The two levels that code writes, without a throw-away schema's prefix."""
        return f"{self.schema.rpartition(SCRATCH_MARK)[2]}.{self.object}"


def check_level(level: str) -> str:
    """One level of a name. Raises InvalidName."""
    if not _LEVEL.fullmatch(level) or len(level) > 255:
        raise InvalidName(
            f"{level!r} is not a name: use letters, digits and underscores, starting with a letter"
        )
    return level


def check_project(name: str) -> str:
    """A project's name, which also names its folders. Raises InvalidName."""
    if not _PROJECT.fullmatch(name):
        rule = "letters, digits, '_' and '-', 100 at most, a letter or digit first"
        raise InvalidName(f"{reprlib.repr(name)} is no name of a project: {rule}")
    return name


def scratch_schema(scratch: str, schema: str) -> str:
    """The schema that stands for `schema` in the throw-away place `scratch`."""
    return f"{scratch}{SCRATCH_MARK}{schema}"


def in_scratch(schema: str, scratch: str) -> bool:
    """Whether a schema belongs to the throw-away place `scratch`."""
    return schema.startswith(f"{scratch}{SCRATCH_MARK}")


def is_scratch(name: str) -> bool:
    """Whether a full name lies in a throw-away schema."""
    return _SCRATCH_SCHEMA.fullmatch(name.partition(".")[2].partition(".")[0]) is not None


def parse(name: str, environment: str | None = None, scratch: str | None = None) -> Name:
    """A two- or three-level name as a full one.

    `environment` completes two levels; `scratch` sends two-level names to throw-away schemas.
    Raises InvalidName.
    """
    levels = [check_level(level) for level in name.replace("`", "").split(".")]
    if len(levels) == 3:
        return Name(*levels)
    if len(levels) == 2 and environment:
        schema = scratch_schema(scratch, levels[0]) if scratch else levels[0]
        return Name(environment, schema, levels[1])
    raise InvalidName(f"{name!r} needs two levels (schema.object) or three (environment.schema.object)")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt one most likely means, None where none is near; what differs in case alone is nearest.

    Of names with levels, either the last level is taken as misspelt, or what stands before it.
    """
    above, _, last = name.lower().rpartition(".")
    levels = {one.lower().rpartition(".")[::2]: one for one in known}
    lasts = {level: one for (before, level), one in levels.items() if before == above}
    befores = {before: one for (before, level), one in levels.items() if level == last and before and above}
    for wrong, right in ((last, lasts), (above, befores)):
        if near := get_close_matches(wrong, list(right), n=1):
            return right[near[0]]
    return None
