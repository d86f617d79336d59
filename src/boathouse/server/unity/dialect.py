"""How each client writes privileges.

databricks-sdk writes underscores; the others write spaces, and reject an answer that names what they do not know.
"""

from collections.abc import Iterable

from fastapi import Request

_OPEN = frozenset({
    "CREATE CATALOG", "USE CATALOG", "CREATE SCHEMA", "USE SCHEMA", "CREATE TABLE", "SELECT", "MODIFY", "EXECUTE",
    "CREATE VOLUME", "READ VOLUME", "CREATE MODEL", "CREATE FUNCTION", "CREATE EXTERNAL LOCATION", "READ FILES",
    "WRITE FILES", "CREATE EXTERNAL TABLE", "CREATE EXTERNAL VOLUME",
})  # fmt: skip
"""What the open-source server's clients know; they reject an answer that names anything else."""

_OURS_ALONE = frozenset({"OWNER", "CREATE SHARE", "DEPLOY", "RUN", "MERGE", "PROMOTE", "APPROVE", "MANAGE ENDPOINT", "QUERY"})


def speaks_sdk(request: Request) -> bool:
    """Whether the client is built on databricks-sdk, in whatever language."""
    return "databricks-sdk" in request.headers.get("user-agent", "")


def spelled(privileges: Iterable[str], sdk: bool) -> list[str]:
    """Privileges as the client reads them; what it cannot know is left out."""
    if sdk:
        return [p.replace(" ", "_") for p in privileges if p not in _OURS_ALONE]
    return [p for p in privileges if p in _OPEN]
