"""CREATE FUNCTION … LANGUAGE PYTHON as a function: the statement that Spark SQL users know."""

import re
import textwrap

from boathouse.catalog.functions import FunctionInfo
from boathouse.catalog.values import Column
from boathouse.errors import InvalidInput

_STATEMENT = re.compile(
    r"""(?:\s|--[^\n]*\n)* CREATE \s+ (?P<replace>OR\s+REPLACE\s+)? FUNCTION \s+ (?P<unless>IF\s+NOT\s+EXISTS\s+)?
        (?P<name>[\w.`]+) \s* \( (?P<parameters>.*?) \) \s* RETURNS \s+ (?P<returns>[\w<>(), ]+?) \s+
        (?P<clauses>(?: (?:COMMENT\s+'(?:[^']|'')*' | DETERMINISTIC | NOT\s+DETERMINISTIC | LANGUAGE\s+\w+) \s+)*)
        AS \s+ \$\$ (?P<body>.*) \$\$ \s* ;? \s* \Z""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_START = re.compile(r"(?:\s|--[^\n]*\n)*CREATE\s+(OR\s+REPLACE\s+)?FUNCTION\b", re.IGNORECASE)
_COMMENT = re.compile(r"COMMENT\s+'((?:[^']|'')*)'", re.IGNORECASE)
_COMMA = re.compile(r",(?![^<(]*[>)])")  # not the commas inside array<…> and decimal(…)


def creates_function(statement: str) -> bool:
    """Whether a statement is a CREATE FUNCTION."""
    return bool(_START.match(statement))


def parse_create_function(statement: str) -> tuple[FunctionInfo, bool, bool]:
    """The function that a CREATE FUNCTION describes, whether it may replace one, and whether one there stays.

    Raises InvalidInput.
    """
    found = _STATEMENT.match(statement)
    if not found or not re.search(r"LANGUAGE\s+PYTHON", found["clauses"], re.IGNORECASE):
        raise InvalidInput(
            "write CREATE [OR REPLACE] FUNCTION schema.name(parameter TYPE, …) RETURNS TYPE LANGUAGE PYTHON AS $$ … return … $$"
        )
    parameters = tuple(_parameter(text) for text in _COMMA.split(found["parameters"]) if text.strip())
    name = found["name"].replace("`", "")
    entry = name.rpartition(".")[2]
    body = textwrap.indent(textwrap.dedent(found["body"].strip("\n")), "    ")
    source = f"def {entry}({', '.join(p.name for p in parameters)}):\n{body}\n"
    comment = _COMMENT.search(found["clauses"])
    function = FunctionInfo(
        name, parameters, found["returns"].strip().lower(), source, entry, comment[1].replace("''", "'") if comment else ""
    )
    return function, bool(found["replace"]), bool(found["unless"])


def _parameter(text: str) -> Column:
    words = re.split(r"\s+", text.strip(), maxsplit=1)
    if len(words) < 2:
        raise InvalidInput(f"the parameter {text.strip()!r} has no type")
    comment = _COMMENT.search(words[1])
    kind = re.sub(r"\s+(NOT\s+NULL|COMMENT|DEFAULT)\b.*", "", words[1], flags=re.IGNORECASE | re.DOTALL)
    return Column(words[0].strip("`"), kind.strip().lower(), comment[1].replace("''", "'") if comment else "")
