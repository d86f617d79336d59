"""What starts a job besides people: the clock, what happens, its own end."""

from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from boathouse.errors import InvalidInput
from boathouse.jobs import next_due
from boathouse.project.shape import PauseStatus, Shape, Texts, Word, words

_SOME_MOMENT = datetime(2024, 1, 1, tzinfo=UTC)


class Schedule(Shape):
    """When a job runs by itself: a Quartz or a cron expression in a time zone."""

    quartz_cron_expression: Word | None = None
    cron: Word | None = None
    timezone_id: Word = "UTC"
    missed_runs: Literal["latest", "all", "skip"] = "latest"
    pause_status: PauseStatus | None = None

    @model_validator(mode="after")
    def _understood(self) -> Self:
        if (self.quartz_cron_expression is None) == (self.cron is None):
            raise ValueError("give either quartz_cron_expression or cron")
        try:
            next_due(self.model_dump(), _SOME_MOMENT)
        except InvalidInput as error:
            raise ValueError(str(error)) from error
        return self


class TableUpdate(Shape):
    """New versions of tables."""

    table_names: tuple[Word, ...] = Field(min_length=1)
    condition: Literal["ANY_UPDATED", "ALL_UPDATED"] = "ANY_UPDATED"
    min_time_between_triggers_seconds: int = Field(default=0, ge=0)
    wait_after_last_change_seconds: int = Field(default=0, ge=0)


class FileArrival(Shape):
    """New files under a URL or a volume's path."""

    url: Word
    min_time_between_triggers_seconds: int = Field(default=0, ge=0)
    wait_after_last_change_seconds: int = Field(default=0, ge=0)


class ModelTrigger(Shape):
    """A version of a registered model that enters a stage; without a stage, a new version."""

    name: Word
    stage: Literal["None", "Staging", "Production", "Archived"] | None = None


class Periodic(Shape):
    """Every so often, from the time of deployment."""

    interval: int = Field(ge=1)
    unit: Literal["MINUTES", "HOURS", "DAYS", "WEEKS"]


class GitPush(Shape):
    """New commits on a branch of the project."""

    branch: Word = "main"


class Release(Shape):
    """A release that changes one of the files that `paths` (`jobs/*.py`, `shop/**/*.sql`) match."""

    paths: Texts = Field(min_length=1)

    @field_validator("paths")
    @classmethod
    def _inside(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        if outside := [path for path in paths if path.startswith("/") or ".." in path.split("/")]:
            raise ValueError(f"{outside[0]!r} leads out of the project: write paths from its folder on, such as jobs/*.py")
        return paths


class Trigger(Shape):
    """What starts a job besides the clock: `alert` names an alert, `release` is a release of this project.

    `release: true` asks for one that changes what the job is made of: its tasks' files, what they import, its lock.
    """

    table_update: TableUpdate | None = None
    file_arrival: FileArrival | None = None
    model: ModelTrigger | None = None
    periodic: Periodic | None = None
    git_push: GitPush | None = None
    alert: Word | None = None
    release: Release | bool = False
    pause_status: PauseStatus | None = None
    unsupported = words("sql_condition")

    @model_validator(mode="after")
    def _something(self) -> Self:
        causes = (self.table_update, self.file_arrival, self.model, self.periodic, self.git_push, self.alert, self.release)
        if not any(causes):
            raise ValueError("a trigger needs table_update, file_arrival, model, periodic, git_push, alert or release")
        return self


class Continuous(Shape):
    """Starts again whenever it ends."""

    pause_status: PauseStatus | None = None
    unsupported = words("task_retry_mode")
