"""Who asks, as SQL functions: for masks, filters and queries."""

from collections.abc import Iterator

from boathouse.identity import Identity
from boathouse.lake import quoted, text

CALLER = ("current_user", "session_user", "user", "current_role")
"""What is the name of whoever asks."""


def asker(identity: Identity) -> Iterator[str]:
    """What makes the functions; inside a view too it is the caller, not the owner."""
    groups = ", ".join(text(g) for g in sorted(identity.names))
    yield f"CREATE MACRO is_member(g) AS list_contains([{groups}], g)"
    for name in CALLER:
        yield f"CREATE MACRO {quoted(name)}() AS {text(identity.principal)}"
