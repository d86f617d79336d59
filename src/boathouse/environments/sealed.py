"""Texts that rest encrypted: AES-256-GCM as JSON Web Encryption, under a key that lies apart from the database."""

import hashlib

from joserfc import jwe
from joserfc.jwk import OctKey

_HEADER = {"alg": "dir", "enc": "A256GCM"}


def seal(secret: str, text: str) -> str:
    """The text, encrypted; twice the same text is never twice the same."""
    return jwe.encrypt_compact(_HEADER, text.encode(), _key(secret))


def unseal(secret: str, sealed: str) -> str:
    """The text again. Raises joserfc's DecodeError where it was changed or the key is another."""
    plaintext = jwe.decrypt_compact(sealed, _key(secret)).plaintext
    assert plaintext is not None
    return plaintext.decode()


def _key(secret: str) -> OctKey:
    return OctKey.import_key(hashlib.sha256(secret.encode()).digest())
