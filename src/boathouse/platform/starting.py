"""What starts jobs by itself, as the platform's rooms tell it."""

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from boathouse import clock
from boathouse.catalog import Volumes
from boathouse.environments import Deployments, Projects, matches, service_identity
from boathouse.errors import BoathouseError, InvalidInput, NotFound
from boathouse.identity import Identities
from boathouse.jobs import Ports, Runs, Startable, Submit, dues
from boathouse.platform.code import CodeDelivery
from boathouse.project import changed, made_of

_log = logging.getLogger(__name__)
_MOST_RUNS = 1_000
_LOOKED_AT = 50
MONITOR = "quality_monitor"
MONITOR_NAME = "monitor:"
"""Before the name of a monitor that refreshes by the clock: no job has a colon in its name."""


class Surroundings:
    """Answers of the rooms to what `Starts` asks."""

    def __init__(self, deployments: Deployments, projects: Projects, volumes: Volumes, identities: Identities,
                 code: CodeDelivery, runs: Runs) -> None:  # fmt: skip
        self._runs = runs
        self._deployments = deployments
        self._projects = projects
        self._volumes = volumes
        self._identities = identities
        self._code = code

    def ports(self, submit: Submit) -> Ports:
        """What `Starts` is given."""
        return Ports(self.jobs, submit, self.files, self.head, self.release, self.changed)

    def jobs(self) -> Iterator[Startable]:
        """Deployed jobs and monitors that may start by themselves."""
        for job in self._deployments.resources("job"):
            if any(job.definition.get(how) is not None for how in ("schedule", "trigger", "continuous")):
                released = (job.definition.get("trigger") or {}).get("release") and job.environment == "prod"
                commit = self._deployments.deployment(job.deployment).commit_id if released else None
                yield Startable(job.environment, job.project, job.name, job.definition, commit)
        for monitor in self._deployments.resources(MONITOR):
            if schedule := monitor.definition.get("schedule"):
                name = f"{MONITOR_NAME}{monitor.name}"
                yield Startable(monitor.environment, monitor.project, name, {"schedule": schedule}, kind=MONITOR)

    def files(self, environment: str, place: str) -> tuple[str, int]:
        """When the newest file below a volume's path was written, and how many there are. Raises InvalidInput, NotFound."""
        parts = place.removeprefix("dbfs:").strip("/").split("/")
        if parts[0] != "Volumes" or len(parts) < 4:
            raise InvalidInput(f"file_arrival watches a volume: write /Volumes/{environment}/SCHEMA/VOLUME, not {place!r}")
        who = service_identity(self._identities, environment)
        newest, count, after = "", 0, None
        while True:
            page = self._volumes.files(who, ".".join(parts[1:4]), "/".join(parts[4:]), after)
            newest = max([newest, *(f.modified_at.isoformat() for f in page.files)])
            count += len(page.files)
            if (after := page.after) is None:
                return newest, count

    def head(self, project: str, branch: str) -> str | None:
        """The commit at the head of a branch in the server's copy."""
        try:
            return self._projects.repository(project).branches().get(branch)
        except NotFound:
            return None

    def release(self, project: str, commit: str) -> str | None:
        """The release that is a commit: one that was cut, or a head of a release branch that was fetched."""
        if cut := next((r.version for r in self._projects.releases(project) if r.commit_id == commit), None):
            return cut
        branches = [branch for branch, head in self._projects.recorded_heads(project) if head == commit]
        pattern = self._code.release_pattern(project) if branches else ""
        return next((f"{branch} at {commit[:12]}" for branch in branches if matches(branch, pattern)), None)


    def changed(self, job: Startable) -> bool:
        """Whether a job's code or lock is other than what its newest run in the environment had, as its trigger asks.

        Also where it never ran, and where that commit is not to be had any more.
        """
        runs = self._runs.newest(job.environment, job.name, limit=_LOOKED_AT, project=job.project)
        last = next((run for run in runs if run.commit_id and run.state != "CANCELED"), None)
        if last is None or last.commit_id is None:
            return True
        if last.commit_id == job.commit:
            return False
        asked = (job.definition.get("trigger") or {}).get("release")
        paths = asked["paths"] if isinstance(asked, Mapping) else ()
        try:
            before, after = (self._projects.checkout(job.project, str(c)) for c in (last.commit_id, job.commit))
        except BoathouseError:
            return True
        parts = changed(made_of(before, last.definition, paths), made_of(after, job.definition, paths))
        if not parts:
            _log.info("%s.%s is not started by its release: nothing that it is made of changed", job.environment, job.name)
        return bool(parts)


def logical_times(definition: dict[str, object], since: datetime, until: datetime, every: str | None) -> list[datetime]:
    """The times that a backfill covers: the schedule's due times, or every so often; from `since` to before `until`.

    Raises InvalidInput.
    """
    if until <= since:
        raise InvalidInput(f"a backfill ends after it begins: {until.isoformat()} is not after {since.isoformat()}")
    schedule = definition.get("schedule")
    if every is None and not isinstance(schedule, dict):
        raise InvalidInput("the job has no schedule: say how far apart its runs are, with --every 1d for example")
    if every is None:
        assert isinstance(schedule, dict)
        found = dues(schedule, since - timedelta(microseconds=1), until - timedelta(microseconds=1), _MOST_RUNS + 1)
    else:
        try:
            step = clock.parse_span(every)
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        if not step:
            raise InvalidInput("the runs of a backfill are more than no time apart")
        found = [since + i * step for i in range(min(-(-(until - since) // step), _MOST_RUNS + 1))]
    if len(found) > _MOST_RUNS:
        raise InvalidInput(f"a backfill makes {_MOST_RUNS:,} runs at most: take a shorter range")
    return found
