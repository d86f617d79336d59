"""The master keys of secrets, which lie apart from the database: the first word seals, every word opens."""

import hashlib
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from boathouse.errors import Conflict, InvalidInput

_NONCE = 12
_SHORTEST = 32


class SecretKeys:
    """AES-256-GCM under keys of the setting `secrets_key`, else of a file that is made at first use, for its owner alone."""

    def __init__(self, path: Path, given: str | None) -> None:
        self._path = path
        self._given = tuple((given or "").split())
        if short := [word for word in self._given if len(word) < _SHORTEST]:
            raise InvalidInput(f"the setting secrets_key has a key of {len(short[0])} characters; {_SHORTEST} are the least")

    @property
    def current(self) -> str:
        """What the newest key is known by; it tells nothing of the key."""
        return _name(self._words()[0])

    def seal(self, text: str, about: str) -> tuple[str, str]:
        """(the key's name, the text encrypted); it opens only as what it was sealed about."""
        word, nonce = self._words()[0], os.urandom(_NONCE)
        sealed = AESGCM(_bytes(word)).encrypt(nonce, text.encode(), about.encode())
        return _name(word), urlsafe_b64encode(nonce + sealed).decode()

    def open(self, key: str, sealed: str, about: str) -> str:
        """The text again. Raises Conflict where its key is not here, or what is kept was changed."""
        word = next((word for word in self._words() if _name(word) == key), None)
        if word is None:
            place = "the setting secrets_key" if self._given else str(self._path)
            raise Conflict(f"{about} was sealed under another master key ({key}) than those of {place}: add that key there")
        raw = urlsafe_b64decode(sealed)
        try:
            return AESGCM(_bytes(word)).decrypt(raw[:_NONCE], raw[_NONCE:], about.encode()).decode()
        except InvalidTag as error:
            raise Conflict(f"{about} does not open: what is kept of it was changed; put it again") from error

    def renew(self) -> None:
        """A new first key. Those of a setting are changed there: the new one before the old one. Raises Conflict."""
        if self._given:
            if len(self._given) < 2:
                raise Conflict("the master key is the setting secrets_key: write a new key before the old one there, then rotate")
            return
        self._write([secrets.token_urlsafe(32), *self._words()])

    def forget_old(self) -> None:
        """Once all is sealed under the first key: the file keeps no other."""
        if not self._given:
            self._write(self._words()[:1])

    def _words(self) -> list[str]:
        if self._given:
            return list(self._given)
        if not self._path.exists():
            self._write([secrets.token_urlsafe(32)])
        return self._path.read_text().split()

    def _write(self, words: list[str]) -> None:
        """Whole or not at all, and never readable by others."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write("\n".join(words) + "\n")
            file.flush()
            os.fsync(descriptor)
        fresh.replace(self._path)


def _bytes(word: str) -> bytes:
    return hashlib.sha256(word.encode()).digest()


def _name(word: str) -> str:
    return hashlib.sha256(b"name of " + word.encode()).hexdigest()[:12]
