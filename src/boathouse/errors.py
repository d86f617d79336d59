"""Every error Boathouse raises on purpose.

BoathouseError
├── InvalidInput            400  what was given cannot be right
│   ├── InvalidName
│   ├── InvalidBundle
│   ├── SchemaMismatch
│   ├── DuplicateKey
│   ├── ExpectationsFailed
│   ├── LimitExceeded
│   └── MissingExtra
├── Unauthenticated         401
├── NotPermitted            403
├── NotFound                404
├── AlreadyExists           409
├── Conflict                409  the state does not allow it now
│   ├── HomeInUse
│   ├── PortInUse
│   ├── NewerHome
│   ├── NotReleased
│   ├── QueryCanceled
│   └── CommitConflict
├── RunFailed               424  a run ended without success
├── TooManyRequests         429  a limit in time; the message says when to come again
├── EngineCrashed           500  the process that ran a query died
├── Unavailable             503  a part that should answer does not
└── DeadlineExceeded        504  a part did not answer in time
"""

from typing import Any, ClassVar


class BoathouseError(Exception):
    """Something Boathouse refuses or cannot do; the message says what to do next."""

    error_code: ClassVar[str] = "INTERNAL_ERROR"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str = "", **details: Any) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])
        self.details = details

    def to_dict(self) -> dict[str, Any]:
        """The body that the server answers with."""
        return {"error_code": self.error_code, "message": str(self), "details": self.details}


class InvalidInput(BoathouseError):
    """The input cannot be right."""

    error_code = "INVALID_PARAMETER_VALUE"
    http_status = 400


class InvalidName(InvalidInput):
    """A name is not one to three dotted levels of letters, digits and underscores."""

    error_code = "INVALID_NAME"


class InvalidBundle(InvalidInput):
    """The project file cannot be read as a bundle."""

    error_code = "INVALID_BUNDLE"


class SchemaMismatch(InvalidInput):
    """Columns or types do not fit the table."""

    error_code = "SCHEMA_MISMATCH"


class DuplicateKey(InvalidInput):
    """Two rows share one primary key."""

    error_code = "DUPLICATE_KEY"


class ExpectationsFailed(InvalidInput):
    """Rows are not what their table expects; `failed` counts them by expectation, `quarantine` names where they are."""

    error_code = "EXPECTATIONS_FAILED"


class LimitExceeded(InvalidInput):
    """A query took more time, memory or disk to spill to than it may."""

    error_code = "QUERY_LIMIT_EXCEEDED"


class MissingExtra(InvalidInput):
    """A part of Boathouse is not installed."""

    error_code = "MISSING_EXTRA"


class Unauthenticated(BoathouseError):
    """No valid token came with the request; run `boathouse login URL`."""

    error_code = "UNAUTHENTICATED"
    http_status = 401


class NotPermitted(BoathouseError):
    """You lack a privilege this needs; `missing` names the privilege and the securable."""

    error_code = "PERMISSION_DENIED"
    http_status = 403


class NotFound(BoathouseError):
    """Nothing of that name that you may see."""

    error_code = "RESOURCE_DOES_NOT_EXIST"
    http_status = 404


class AlreadyExists(BoathouseError):
    """That name is taken."""

    error_code = "RESOURCE_ALREADY_EXISTS"
    http_status = 409


class Conflict(BoathouseError):
    """The present state does not allow this."""

    error_code = "RESOURCE_CONFLICT"
    http_status = 409


class HomeInUse(Conflict):
    """Another process owns this home."""

    error_code = "HOME_IN_USE"


class PortInUse(Conflict):
    """The port is taken."""

    error_code = "PORT_IN_USE"


class NewerHome(Conflict):
    """The home was written by a newer Boathouse."""

    error_code = "NEWER_HOME"


class NotReleased(Conflict):
    """The commit was never released to this environment."""

    error_code = "NOT_RELEASED"


class QueryCanceled(Conflict):
    """Somebody canceled the query."""

    error_code = "QUERY_CANCELED"


class CommitConflict(Conflict):
    """Other writers kept changing the table; nothing was written."""

    error_code = "COMMIT_CONFLICT"


class RunFailed(BoathouseError):
    """A run ended without success."""

    error_code = "RUN_FAILED"
    http_status = 424


class TooLarge(BoathouseError):
    """A request's body is larger than what is read at once."""

    error_code = "REQUEST_TOO_LARGE"
    http_status = 413


class TooManyRequests(BoathouseError):
    """Too many tries; wait before the next."""

    error_code = "REQUEST_LIMIT_EXCEEDED"
    http_status = 429


class EngineCrashed(BoathouseError):
    """The process that ran a query died; other queries go on."""

    error_code = "ENGINE_CRASHED"
    http_status = 500


class Unavailable(BoathouseError):
    """A part that should answer does not."""

    error_code = "TEMPORARILY_UNAVAILABLE"
    http_status = 503


class DeadlineExceeded(BoathouseError):
    """A part that runs did not answer in time."""

    error_code = "DEADLINE_EXCEEDED"
    http_status = 504


def _tree(root: type[BoathouseError]) -> dict[str, type[BoathouseError]]:
    found = {root.error_code: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


def from_dict(body: dict[str, Any], status: int) -> BoathouseError:
    """The error a server answered with, as the class it raised there."""
    known = _tree(BoathouseError)
    fallback = next((c for c in known.values() if c.http_status == status), BoathouseError)
    error = known.get(str(body.get("error_code")), fallback)
    return error(str(body.get("message") or f"HTTP {status}"), **(body.get("details") or {}))
