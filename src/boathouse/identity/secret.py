"""Secrets that say who someone is: 256 random bits, of which only the SHA-256 digest is kept.

A digest needs no salt and no slow hash where nothing can be guessed. Looking it up by an index tells a clock
nothing either: who asks cannot choose how a digest begins.
"""

import hashlib
import secrets

TOKEN, SESSION = "bh_", "bhs_"
SHOWN = 8
"""So many characters of a token tell it apart in a list; 30 of its bits are in them."""


def new(prefix: str) -> str:
    """A new secret."""
    return prefix + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def public_id() -> str:
    """A name for a token or session that lists may show."""
    return secrets.token_hex(8)
