"""Values of the catalog: what a table is, and what a caller may do with it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from boathouse.lake import UNKNOWN, Origin

SecurableKind = Literal[
    "metastore", "catalog", "schema", "table", "volume", "model", "function", "external_location", "project", "endpoint",
    "job", "service_principal", "share", "secret_scope", "compute", "experiment",
]  # fmt: skip
OUR_TAGS = "boathouse."
"""What begins so tells programs, and nobody searches for it."""


@dataclass(frozen=True)
class Securable:
    """Anything that grants protect."""

    kind: SecurableKind
    name: str
    owner: str
    comment: str = ""
    created_at: datetime | None = None
    created_by: str = ""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True)
class TableInfo:
    """A table as the catalog knows it. `primary_keys` holds the event time too, where there is one.

    `version`, `properties` (Delta's own) and `checks` (what became of the newest batches) are there where the table
    itself was asked, not in lists.
    """

    name: str
    location: str
    columns: tuple[Column, ...]
    owner: str
    primary_keys: tuple[str, ...] = ()
    event_time: str | None = None
    known_time: str | None = None
    partition_by: tuple[str, ...] = ()
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    created_by: str = ""
    version: int | None = None
    masks: dict[str, str] = field(default_factory=dict)
    row_filter: str | None = None
    table_type: Literal["MANAGED", "EXTERNAL", "VIEW"] = "MANAGED"
    view: str | None = None
    """The SQL that a view stands for, its tables by their full names."""
    properties: dict[str, str] = field(default_factory=dict)
    expectations: dict[str, dict[str, str]] = field(default_factory=dict)
    """Name -> `expr` and `action` (warn, drop, fail)."""
    freshness: float | None = None
    """Seconds that the newest event may lie back."""
    checks: tuple[dict[str, Any], ...] = ()

    @property
    def own_tags(self) -> dict[str, str]:
        """Tags that people gave, without those that tell programs."""
        return {key: value for key, value in self.tags.items() if not key.startswith(OUR_TAGS)}

    @property
    def keys(self) -> tuple[str, ...]:
        """The primary keys without the event time."""
        return tuple(k for k in self.primary_keys if k != self.event_time)

    @property
    def is_feature_table(self) -> bool:
        """A table with primary keys can be looked up."""
        return bool(self.primary_keys)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        body = asdict(self)
        body["created_at"] = self.created_at.isoformat() if self.created_at else None
        return body

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> "TableInfo":
        """From `to_dict`."""
        moment = body.get("created_at")
        return cls(**{
            **body,
            "columns": tuple(Column(**c) for c in body["columns"]),
            "primary_keys": tuple(body["primary_keys"]),
            "partition_by": tuple(body["partition_by"]),
            "checks": tuple(body.get("checks") or ()),
            "created_at": datetime.fromisoformat(moment) if moment else None,
        })  # fmt: skip


@dataclass(frozen=True)
class TableAccess:
    """The catalog's yes: where a table's files are, for a caller that holds these privileges.

    `through` is `files` when the caller may open them, `server` when rows must come through the server
    (another environment's table read by a task, a table with masks or a filter, a store that has no STS).
    On an object store `credentials` open the table's files and nothing else, until `expires_at`.
    """

    info: TableInfo
    privileges: tuple[str, ...]
    through: Literal["files", "server"] = "files"
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    expires_at: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "info": self.info.to_dict(), "privileges": list(self.privileges), "through": self.through,
            "credentials": dict(self.credentials), "expires_at": self.expires_at.isoformat() if self.expires_at else None,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> "TableAccess":
        """From `to_dict`."""
        until = body.get("expires_at")
        return cls(
            TableInfo.from_dict(body["info"]), tuple(body["privileges"]), body["through"], body.get("credentials") or {},
            datetime.fromisoformat(until) if until else None,
        )  # fmt: skip


Sources = Sequence[str | tuple[str, int | str | None]]
"""What a writer says its rows were made out of: names, or (name, version)."""


@dataclass(frozen=True)
class Making:
    """How a version of a table was made: what its rows came from, and what of earlier versions is left.

    `sources`, where the writer names them, stand; else `origin`, as far as the rows bring one. `replaces`
    says that nothing of earlier versions is left, `restored` which version came back instead.
    """

    origin: Origin = UNKNOWN
    sources: Sources | None = None
    replaces: bool = False
    restored: int | None = None


@dataclass(frozen=True)
class Grant:
    """A principal holds a privilege on a securable and on all below it."""

    principal: str
    privilege: str
    kind: SecurableKind
    securable: str


@dataclass(frozen=True)
class AuditEntry:
    """One link of the audit chain."""

    sequence: int
    at: datetime
    principal: str
    action: str
    subject: str
    outcome: str
    details: dict[str, Any]
    hash: str
