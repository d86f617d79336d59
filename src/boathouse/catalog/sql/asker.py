"""Who asks, as SQL functions: for masks, filters and queries."""

from collections.abc import Iterator

from boathouse.identity import Identity
from boathouse.lake import quoted

CALLER = ("current_user", "session_user", "user", "current_role")
"""What is the name of whoever asks."""


def asker(identity: Identity) -> Iterator[str]:
    """What makes the functions; inside a view too it is the caller, not the owner."""
    groups = ", ".join(_text(g) for g in sorted(identity.names))
    yield f"CREATE MACRO is_member(g) AS list_contains([{groups}], g)"
    for name in CALLER:
        yield f"CREATE MACRO {quoted(name)}() AS {_text(identity.principal)}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
