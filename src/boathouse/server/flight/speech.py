"""Between our errors and Flight's, and how a caller proves who it is."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.flight as fl

from boathouse.errors import (
    AlreadyExists,
    BoathouseError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    NotPermitted,
    QueryCanceled,
    Unauthenticated,
    Unavailable,
)
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import token_of

ENVIRONMENT_HEADER = "x-boathouse-environment"
_CLASSES: tuple[tuple[type[BoathouseError], type[Exception]], ...] = (
    (Unauthenticated, fl.FlightUnauthenticatedError), (NotPermitted, fl.FlightUnauthorizedError),
    (NotFound, pa.ArrowKeyError), (AlreadyExists, pa.ArrowInvalid), (QueryCanceled, fl.FlightCancelledError),
    (LimitExceeded, fl.FlightServerError), (InvalidInput, pa.ArrowInvalid), (Unavailable, fl.FlightUnavailableError),
)  # fmt: skip

Headers = Mapping[str, Sequence[str | bytes]]


@contextmanager
def spoken() -> Iterator[None]:
    """Our errors as those that Flight's clients understand."""
    try:
        yield
    except BoathouseError as error:
        raise translated(error) from error


def translated(error: BoathouseError) -> Exception:
    """One of our errors, as Flight's."""
    kind = next((theirs for ours, theirs in _CLASSES if isinstance(error, ours)), fl.FlightServerError)
    return kind(f"{error} [{error.error_code}]")


class Caller(fl.ServerMiddleware):  # type: ignore[misc]
    """Who calls, for the length of one call. The token goes back, for clients that logged in with a password."""

    def __init__(self, identity: Identity, token: str, environment: str) -> None:
        self.identity = identity
        self.environment = environment
        self._token = token

    def sending_headers(self) -> dict[str, str]:
        """What Flight's own login expects to be answered."""
        return {"authorization": f"Bearer {self._token}"}


class Gate(fl.ServerMiddlewareFactory):  # type: ignore[misc]
    """Lets in whoever brings a token: as bearer, or as the password of whatever user name."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def start_call(self, _info: fl.CallInfo, headers: Headers) -> Caller:
        """The caller. Raises FlightUnauthenticatedError."""
        with spoken():
            token = token_of({"authorization": _padded(_header(headers, "authorization"))})
            identity = self._platform.identities.authenticate(token)
            asked = _header(headers, ENVIRONMENT_HEADER)
            if identity.environment and asked not in ("", identity.environment):
                raise NotPermitted(f"this token is for {identity.environment}, not for {asked}")
            environment = identity.environment or asked or self._platform.settings.env
            return Caller(identity, token or "", environment)


class Handshake(fl.ServerAuthHandler):  # type: ignore[misc]
    """Flight's login is a call as any other: the gate has asked for the token already."""

    def authenticate(self, _outgoing: object, _incoming: object) -> None:
        """Nothing is left to ask."""

    def is_valid(self, _token: bytes) -> str:
        """Who it is, the gate knows."""
        return ""


def _header(headers: Headers, name: str) -> str:
    found = next((values for key, values in headers.items() if key.lower() == name and values), [""])
    value = found[0]
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _padded(header: str) -> str:
    """A Basic header with the padding of base64, which Go's client leaves out."""
    scheme, _, value = header.partition(" ")
    return header if scheme.lower() != "basic" else f"{scheme} {value}{'=' * (-len(value) % 4)}"
