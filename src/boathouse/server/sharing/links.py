"""Links that open one file for a while: signed, so that nobody makes or changes one."""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass

from boathouse import clock
from boathouse.errors import NotPermitted

LIFETIME_SECONDS = 3600


@dataclass(frozen=True)
class Pass:
    """What a link opens: a file of `table`, for the recipient with this token, until `expires` (seconds since 1970).

    `file` is a path below the table's folder, or with `spooled` the name of a file that was made for this recipient.
    `guard` is what hid rows and columns from the recipient when the link was made.
    """

    token_id: str
    table: str
    file: str
    spooled: bool
    guard: str
    expires: int


class Links:
    """Signs passes and reads them back."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def sign(self, pass_: Pass) -> str:
        """The last part of the link's path."""
        body = _encoded(json.dumps(asdict(pass_), separators=(",", ":")).encode())
        return f"{body}.{self._signature(body)}"

    def read(self, signed: str) -> Pass:
        """The pass in a link. Raises NotPermitted for one that was not signed here, was changed, or is over."""
        body, _, signature = signed.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(body).encode()):
            raise NotPermitted("this link was not made here, or was changed")
        try:
            found = Pass(**json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))
        except (binascii.Error, ValueError, TypeError) as error:  # signed by an older version of this program
            raise NotPermitted("this link is of no use any more: query the table again") from error
        if found.expires <= clock.now().timestamp():
            raise NotPermitted("this link is over: query the table again")
        return found

    def _signature(self, body: str) -> str:
        return _encoded(hmac.new(self._key, body.encode(), hashlib.sha256).digest())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
