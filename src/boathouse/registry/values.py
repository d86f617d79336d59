"""Values of the room."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from boathouse.errors import InvalidInput

NONE, STAGING, PRODUCTION, ARCHIVED = STAGES = ("None", "Staging", "Production", "Archived")
CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True)
class ModelInfo:
    """A registered model as lists show it; `production` is the version that serves."""

    name: str
    description: str
    created_at: datetime
    updated_at: datetime
    latest_version: int | None
    production: int | None
    aliases: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class VersionInfo:
    """One version; `location` is where its files lie, `source` what it was registered from."""

    model: str
    version: int
    stage: str
    status: str
    description: str
    creator: str
    source: str
    location: str
    run_id: str | None
    created_at: datetime
    updated_at: datetime
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """What a version is a copy of, and who copied it when. `there` says whether that version still exists.

    `record` holds the tags `boathouse.…` of the run that trained it, as they were then; `digest` is the SHA-256 of the files.
    """

    model: str
    version: int
    run_id: str | None
    creator: str
    record: Mapping[str, str]
    digest: str
    principal: str
    at: datetime
    there: bool = True


@dataclass(frozen=True)
class InUse:
    """A version that somebody counts on; `record` holds tags of the run that made it."""

    model: str
    version: int
    stage: str
    record: Mapping[str, str]


@dataclass(frozen=True)
class StageChange:
    """One step of a version's life; `action` is transition, promote, supersede or rollback."""

    id: int
    model: str
    version: int
    from_stage: str
    to_stage: str
    action: str
    reason: str
    principal: str
    at: datetime
    evidence: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What the tests of a version concluded in an environment."""

    id: int
    model: str
    version: int
    environment: str
    at: datetime
    verdict: Mapping[str, Any]


def stage_named(text: str) -> str:
    """A stage in its one spelling; `production` and `Production` are one. Raises InvalidInput."""
    for stage in STAGES:
        if stage.lower() == text.strip().lower():
            return stage
    raise InvalidInput(f"{text!r} is no stage; the stages are {', '.join(STAGES)}")
