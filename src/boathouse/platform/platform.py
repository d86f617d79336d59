"""Every room of one home, wired."""

import getpass
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from boathouse import clock
from boathouse.alerts import Alerts, Incident
from boathouse.catalog import (
    AUDIT,
    LINEAGE,
    AccessControl,
    Audit,
    Catalog,
    Cloner,
    Functions,
    Lineage,
    Locations,
    PrimaryKeys,
    Receiver,
    Search,
    SecretKeys,
    Secrets,
    SecurableKind,
    Securables,
    Shares,
    SqlDesk,
    SystemTables,
    Vocabulary,
    Volumes,
)
from boathouse.database import Database
from boathouse.delivery import Delivery
from boathouse.environments import (
    DEPLOYMENTS,
    ENVIRONMENTS,
    Declared,
    Deployments,
    Projects,
    Remotes,
    Resource,
    Sandbox,
    served_entities,
    service_principal,
    set_up,
    share,
)
from boathouse.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from boathouse.events import Channel, Event, Mail, Notifications, Outbox, Post, Webhooks, by_apprise
from boathouse.features import FeatureSpecs, OnlineStores, RegisteredFeatures
from boathouse.identity import Identities, Identity
from boathouse.jobs import JOB_RUNS, Hooks, Run, Runner, RunRequest, Runs, Startable, Starts, TaskDefinition, TaskIdentity
from boathouse.lake import WorkerPool, cluster_at, storages
from boathouse.monitoring import completed, parse_granularity
from boathouse.platform.code import CodeDelivery
from boathouse.platform.computing import Computing
from boathouse.platform.doors import doors
from boathouse.platform.git_host import GitHost
from boathouse.platform.git_statuses import CHANNEL as STATUSES
from boathouse.platform.git_statuses import GitStatuses
from boathouse.platform.held_versions import HeldVersions
from boathouse.platform.home import Home
from boathouse.platform.housekeeping import Housekeeping
from boathouse.platform.inference import InferenceFlush
from boathouse.platform.interpreters import Interpreters, seed_of
from boathouse.platform.lineage import CopiedLineage, ServedLineage
from boathouse.platform.model_pins import ModelPins
from boathouse.platform.notices import Notices
from boathouse.platform.openlineage import Feed, Teller, sender
from boathouse.platform.refreshing import OURS, Refreshing
from boathouse.platform.reproduction import Reproduction
from boathouse.platform.rolling import Rolling
from boathouse.platform.secrecy import Secrecy
from boathouse.platform.seen_lineage import SeenLineage
from boathouse.platform.sharing import Sharing
from boathouse.platform.starting import Surroundings, logical_times
from boathouse.platform.told_models import ToldModels
from boathouse.platform.touched import Touched
from boathouse.platform.trace import Tracer
from boathouse.platform.traffic import TrafficDesk
from boathouse.platform.users import FeatureUsers, ModelUsers
from boathouse.platform.walls import Walls
from boathouse.project import definition, parse_resource
from boathouse.registry import Registry
from boathouse.serving import Endpoints, Launch, served_entity
from boathouse.settings import Settings

_log = logging.getLogger(__name__)
_RUN_TOKEN_LIFETIME = timedelta(days=2)


class Platform:
    """One lakehouse, opened by the process that owns its home. Close it, or use it as a context manager.

    A `session` is a command or a notebook that works without a server: no job starts by the clock in it, runs that a
    server left are left to the next server, and its own end with it.
    """

    def __init__(self, settings: Settings, session: bool = False) -> None:
        self.settings = settings
        self._session = session
        cluster_at(settings.engine)  # a setting that names no engine is refused before anything is made
        self.home = Home(settings)
        self.home.acquire()
        try:
            self._build()
        except BaseException:
            self.home.release()
            raise

    def _build(self) -> None:
        settings = self.settings
        self.url = settings.url or ""
        self.database = Database(settings.database_url)
        self.database.create_tables()
        self.identities = Identities(self.database)
        self.audit = Audit(self.database, settings.path("secrets", "audit.key"), settings.path("audit.head"))
        self.access = AccessControl(self.database, self.audit)
        self.lineage = Lineage(self.database)
        self.storages = storages(settings.storage, settings.storages, os.environ, settings.storage_role_arn,
                                 settings.storage_roles)  # fmt: skip
        self.storages.check(settings.span("storage_credential_lifetime"))
        self.outbox, self.webhooks = self._make_events()
        self.walls, self.catalog = self._make_catalog()
        self.locations, self.functions = Locations(self.catalog), Functions(self.database, self.catalog)
        self.volumes = Volumes(self.database, self.catalog)
        self.feature_specs, self.declared_features, self.online_stores = (
            FeatureSpecs(self.database, self.catalog), RegisteredFeatures(self.database, self.catalog), self._make_online_stores()
        )  # fmt: skip
        workers = WorkerPool(settings.path("sql"), settings.number("sql_workers", 1), settings.size("sql_memory"))
        seconds = settings.span("sql_timeout").total_seconds()
        self.sql = SqlDesk(self.catalog, self.functions, workers, seconds, identify=self._person)
        self.cloner = Cloner(self.catalog, self.sql, settings.path("clones"))
        self.securables, self.keys = Securables(self.database, self.catalog, self.identities, ENVIRONMENTS), PrimaryKeys(
            self.database, self.catalog
        )
        self.operator = getpass.getuser()
        with self.database.writing():  # all of it or nothing: a crash must not leave an environment without its grants
            set_up(self.catalog, self.access, self.identities, self.operator)
        self._let_operator_in()
        self.people, self.logins, self.federation = doors(
            settings, self.database, self.identities, self.access, self.audit, self.operator
        )
        self.sharing = Sharing(Shares(self.database, self.catalog), self.people, self.identities)
        self.deployments, self.projects = Deployments(self.database, self.catalog), Projects(
            self.database, self.audit, settings.path("code"), settings.path("checkouts")
        )
        self.remotes = Remotes(self.database, self.audit, self.projects, self.outbox.emit, self.home.secret("secrets.key"))
        self.secrets, self.secrecy, self.notifications = self._make_secrets()
        self.runner, self.runs = self._make_runner()
        self.seen_lineage = SeenLineage(self.catalog, self.lineage, self.runs)
        words = Vocabulary(settings.openlineage_namespace)
        self.openlineage = Receiver(self.database, self.catalog, self.lineage, words)
        self.feed: Feed | None = None
        if url := settings.openlineage_url:
            teller = Teller(self.catalog, self.lineage, self.runs, words)
            self.feed = Feed(self.database, self.outbox, teller, url, sender(url, settings.openlineage_token))
        self.registry = Registry(self.database, self.outbox.emit, self.audit.write)
        self.search = Search(self.database, self.access, ToldModels(self.registry, self.lineage))
        self.code = self._make_code()
        self.git_host = GitHost(self.identities, self.projects, self.remotes, self.code)
        self.reproduction, self.pins = Reproduction(self), ModelPins(self.catalog, self.registry)
        self.delivery, self.held_versions = self._make_delivery()
        self.endpoints, self.rolling, self.traffic = self._make_endpoints()
        self.registry.users, self.catalog.protection.users = ModelUsers(self.deployments, self.endpoints), FeatureUsers(
            self.lineage, self.registry, self.feature_specs, self.declared_features, self.deployments, self.endpoints
        )
        self.alerts = Alerts(self.database, self.outbox, self.audit)
        self.notices = Notices(self.notifications, self.runs, self.deployments, self.alerts)
        self.inference = InferenceFlush(self.catalog, self.deployments, self.service_identity, settings.path("spool"))
        self.starts, self.refreshing = self._make_starts()
        self.housekeeping = self._make_housekeeping()

    def _make_starts(self) -> tuple[Starts, Refreshing]:
        around = Surroundings(self.deployments, self.projects, self.volumes, self.identities, self.code)
        starts = Starts(self.database, self.runs, self.runner.queue, around.ports(self._start_job))
        return starts, Refreshing(self.catalog, self.deployments, starts)

    def _make_housekeeping(self) -> Housekeeping:
        kept = (AUDIT, LINEAGE, JOB_RUNS, DEPLOYMENTS)
        tables = SystemTables(self.database, self.catalog, ENVIRONMENTS, self.service_identity, kept)
        return Housekeeping(self.audit, tables, self._tidy_hourly)

    def _tidy_hourly(self) -> None:
        self.interpreters.prune(self.runs)
        self.registry.sweep(self.settings.path("mlflow-artifacts"))

    def _make_catalog(self) -> tuple[Walls, Catalog]:
        lifetime, walls = self.settings.span("storage_credential_lifetime"), Walls(self.settings, self.storages)
        made = Catalog(self.database, self.access, self.audit, self.lineage, self.outbox, self.storages, lifetime,
                       [self.settings.home], walled=walls.isolation.holds)  # fmt: skip
        return walls, made

    def _make_events(self) -> tuple[Outbox, Webhooks]:
        events, private = Outbox(self.database), self.settings.switch("webhook_private_addresses")
        return events, Webhooks(self.database, events, self.home.secret("webhooks.key"), private)

    def _make_secrets(self) -> tuple[Secrets, Secrecy, Notifications]:
        keys = SecretKeys(self.settings.path("secrets", "master.key"), self.settings.secrets_key)
        made = Secrets(self.database, self.catalog, keys)
        secrecy = Secrecy(made, self.identities, self._hide)
        post = Post(self.settings.switch("webhook_private_addresses"), lambda name: self.webhooks.signing(*name.split(".", 1)))
        mail = Mail(self.settings.smtp_url, self.settings.smtp_from)
        self.git_statuses = GitStatuses(self.projects, self.remotes, self.settings.switch("webhook_private_addresses"),
                                        lambda: self.url)  # fmt: skip
        channels: dict[str, Channel] = {"email": mail, "webhook": post, "apprise": by_apprise, STATUSES: self.git_statuses}
        return made, secrecy, Notifications(self.database, channels, secrecy.in_address)

    def _hide(self, run_id: str, texts: Sequence[str]) -> None:
        self.runner.hide(run_id, texts)

    def _make_runner(self) -> tuple[Runner, Runs]:
        self.interpreters = Interpreters(self.settings.path("python"), self.settings.span("python_environments_kept"))
        hooks = Hooks(self._identify, self._check_launch, self._submit_child, self._run_ended, self._task_moved,
                      self._run_slow, self.secrecy.of_run, self.secrecy.hidden, self._sandbox)  # fmt: skip
        slots = self.settings.number("parallel_tasks", 1)
        runner = Runner(self.database, self.home.executor(), self.settings.path("runs"), hooks, slots, self._session)
        return runner, runner.runs

    def _make_code(self) -> CodeDelivery:
        declared = Declared(self.database, self.catalog, self.securables, self.volumes, self.identities)
        made = CodeDelivery(self.catalog, self.identities, self.deployments, self.projects, self.runner, self.registry, declared)
        made.told = lambda number, check: self.git_statuses.note(self.notifications, number, check)
        return made

    def _make_delivery(self) -> tuple[Delivery, HeldVersions]:
        delivery = Delivery(self.registry, self.deployments, self.access, self.audit, self._submit_test, self._tell)
        return delivery, HeldVersions(self.registry, delivery)

    def _make_endpoints(self) -> tuple[Endpoints, Rolling, TrafficDesk]:
        key, rollouts = self.home.secret("endpoints.key"), self.delivery.rollouts
        made = Endpoints(self.database, self.deployments, self.registry, self.feature_specs, rollouts, self._launch, key,
                         ServedLineage(self.lineage).note)  # fmt: skip
        desk = TrafficDesk(self.deployments, made, self.delivery, self.settings.path("logs"))
        return made, Rolling(made, rollouts), desk

    def start(self, url: str, lazily: bool = False) -> None:
        """Begin to work: the address is known, so runs can reach it. Earlier runs that were cut off go on.

        `lazily` starts model servers only once somebody asks for an endpoint.
        """
        self.url = url
        self.take_up()
        self.outbox.subscribe("registered_model.created", self._know_model)
        self.outbox.subscribe("registered_model.deleted", lambda event: self._forget_model(event, event.subject))
        self.outbox.subscribe("registered_model.renamed", self._rename_model)
        self.outbox.subscribe("table.created", lambda event: share(self.access, event.subject))
        self.outbox.subscribe("model_version.created", CopiedLineage(self.lineage).on_event)
        self.outbox.subscribe("model_version.", self.delivery.on_event)
        self.outbox.subscribe("model_version.", self.held_versions.on_event)
        self.outbox.subscribe("table.updated", self.held_versions.on_event)
        self.outbox.subscribe("model_version.verdict", lambda event: self.code.tell_requests(event.subject, event.data))
        self.outbox.subscribe("model_version.", lambda event: self.pins.sync(event.subject))
        self.outbox.subscribe("model", lambda _event: self.endpoints.wake())
        self.outbox.subscribe("alert.fired", self._answer_alert)
        self.outbox.subscribe("", lambda event: self.notices.on_event(event, self.url))
        self.outbox.subscribe("", lambda e: self.starts.on_event(e.id, e.kind, e.subject, e.data, clock.parse_instant(e.at)))
        if self.feed:
            self.outbox.subscribe("", lambda _event: self.feed.wake() if self.feed else None)
            self.feed.start()
        self.outbox.subscribe("", lambda _event: self.webhooks.wake())
        self.outbox.start()
        self.webhooks.start()
        self.notifications.start()
        self.endpoints.start(lazily)
        self.rolling.start()
        if not lazily:
            self.sql.warm()
        self.inference.start()
        if not self._session:
            self.starts.start()
            self.held_versions.start()
        self.housekeeping.start()

    def take_up(self) -> None:
        """Go on with the runs that an earlier owner of this home left when it ended, and end what else it left running."""
        for run_id in self.runner.recover():
            _log.warning("run %s was cut off: %s", run_id, "it ends" if self._session else "it goes on")
        self.endpoints.end_orphans()

    def close(self) -> None:
        """End all work and give the home back."""
        self.starts.stop()
        self.held_versions.stop()
        self.rolling.stop()
        self.endpoints.stop()
        self.inference.stop()
        self.sql.close()
        self.runner.stop()
        self.outbox.stop()
        self.webhooks.stop()
        self.notifications.stop()
        if self.feed:
            self.feed.stop()
        self.housekeeping.stop()
        self.logins.close()
        self.identities.close()
        self.database.close()
        self.home.release()

    def __enter__(self) -> "Platform":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def now(self) -> datetime:
        """The real time, UTC."""
        return clock.now()

    def online_folder(self, environment: str) -> Path:
        """Where an environment's embedded online stores lie."""
        return self.settings.path("online", environment)

    def online_location(self, environment: str) -> str:
        """Where an environment's default online store is: a folder, or a Redis server's address. Secret for its password."""
        given = self.settings.online_store
        return str(self.online_folder(environment)) if given == "embedded" else given

    def _make_online_stores(self) -> OnlineStores:
        def folder(environment: str, name: str) -> str:
            return str(self.online_folder(environment) / "stores" / name)

        return OnlineStores(self.database, self.catalog, self.home.secret("secrets.key"), self.online_location, folder)

    def operator_link(self) -> str:
        """A path that opens the UI as the operator, once: for the terminal of whoever owns this process."""
        return self.logins.make_link(Identity(self.operator, self.identities.groups_of(self.operator)))

    @property
    def computing(self) -> Computing:
        """Named computes."""
        return self.code.computing

    def service_identity(self, environment: str) -> Identity:
        """The environment's own identity, for what the platform does in its name."""
        name = service_principal(environment)
        return Identity(name, self.identities.groups_of(name), environment)

    def _person(self, name: str) -> Identity:
        return Identity(name, self.identities.groups_of(name))

    def submit_job(self, identity: Identity, environment: str, job: str, *, parameters: Mapping[str, str],
                   task: str | None = None, scratch: str = "", trigger: str = "manual", start_key: str | None = None,
                   parent_run: str | None = None, project: str | None = None) -> str:  # fmt: skip
        """Start a deployed job under its environment's identity; the run's id. Of several of the name, the `project`'s.

        A `start_key` names a reason that starts one run only, however often it is seen. In a throw-away place only its own
        tests start jobs, and these run as they do. Raises Conflict for anybody else.
        """
        if scratch != (identity.scratch or ""):
            raise Conflict(f"{scratch or environment} is not yours: only the tests of a request run jobs in its throw-away place")
        if scratch:
            self.access.authorize(identity, "RUN", "catalog", environment)
        resource = self._job(identity, environment, job, project, scratch)
        deployment = self.deployments.deployment(resource.deployment)
        source = str(self._nowhere())
        if resource.project not in OURS:
            self._check_code(resource.project, environment, deployment.commit_id, deployment.dirty, scratch)
            source = self.projects.code_at(resource.project, deployment.source, deployment.commit_id)
        definition = self.computing.limited(self.service_identity(environment), environment, resource.definition, scratch)
        return self.runner.submit(
            RunRequest(
                environment=environment, project=resource.project, job=resource.name, definition=definition,
                source=source, submitted_by=identity.principal,
                principal=identity.principal if scratch else service_principal(environment),
                commit=deployment.commit_id, dirty=deployment.dirty, scratch=scratch, parameters=parameters,
                trigger=trigger, only_task=task, start_key=start_key, parent_run=parent_run,
            )
        )  # fmt: skip

    def _job(self, identity: Identity, environment: str, job: str, project: str | None, scratch: str = "") -> Resource:
        """A deployed job that the identity may run. Raises NotFound, Conflict, NotPermitted."""
        try:
            resource = self.deployments.job(environment, job, project, scratch)
        except NotFound:
            if not scratch:  # who may not run a job of the name does not hear whether there is one
                self.access.authorize(identity, "RUN", "job", f"{environment}.{job}")
            raise
        if not scratch:
            self.access.authorize(identity, "RUN", "job", f"{environment}.{resource.name}")
        return resource

    def pause_job(self, identity: Identity, environment: str, job: str, pause: bool, project: str | None = None) -> None:
        """Let a job start by hand only, or by itself again; needs RUN on it."""
        resource = self._job(identity, environment, job, project)
        key = (environment, resource.project, resource.name)
        if pause:
            self.starts.pause(key, identity.principal)
        else:
            self.starts.resume(key)
        self.audit.record(identity.principal, "pause job" if pause else "resume job", f"{environment}.{resource.name}")

    def backfill(self, identity: Identity, environment: str, job: str, since: datetime, until: datetime,
                 parameters: Mapping[str, str], every: str | None = None, project: str | None = None) -> list[str]:  # fmt: skip
        """Runs of a job for logical times of the past, all or none; needs RUN. Raises InvalidInput."""
        resource = self._job(identity, environment, job, project)
        with self.database.writing():
            return [
                self.submit_job(identity, environment, resource.name, trigger="backfill", project=resource.project,
                                parameters={**parameters, "as_of": at.isoformat()})
                for at in logical_times(resource.definition, since, until, every)
            ]  # fmt: skip

    def cancel_run(self, identity: Identity, run: Run) -> None:
        """Kill a run; needs RUN on its job, its project or its environment."""
        self._authorize_run(identity, run)
        self.runner.cancel(run.id)
        self.audit.record(identity.principal, "cancel run", f"{run.environment}.{run.job}", {"run": run.id})

    def repair_run(self, identity: Identity, run: Run) -> None:
        """Run again what did not succeed; needs RUN on its job, its project or its environment."""
        self._authorize_run(identity, run)
        self.runner.repair(run.id)
        self.audit.record(identity.principal, "repair run", f"{run.environment}.{run.job}", {"run": run.id})

    def sees_run(self, identity: Identity, run: Run) -> bool:
        """Whether the identity may see a run and its logs; code under test sees its own."""
        if identity.scratch:
            return identity.scratch == run.scratch
        return self.access.sees(identity, "job", f"{run.environment}.{run.job}")

    def may_run(self, identity: Identity, run: Run) -> bool:
        """Whether the identity may cancel and repair a run."""
        return self.access.allows(identity, "RUN", *_secured(run))

    def _authorize_run(self, identity: Identity, run: Run) -> None:
        self.access.authorize(identity, "RUN", *_secured(run))

    def submit_builtin(self, environment: str, name: str, arguments: list[str], *, label: str, trigger: str) -> str:
        """Start one of the platform's own tasks in an environment, in a process of its own; the run's id."""
        definition = {"tasks": [{"task_key": name, "builtin_task": {"name": name, "parameters": arguments}}],
                      "max_concurrent_runs": 1}  # fmt: skip
        return self.runner.submit(
            RunRequest(
                environment=environment, project="boathouse", job=label, definition=definition,
                source=str(self._nowhere()), principal=service_principal(environment),
                submitted_by=service_principal(environment), trigger=trigger,
            )
        )  # fmt: skip

    def _nowhere(self) -> Path:
        """Where tasks run that bring no code."""
        place = self.settings.path("runs")
        place.mkdir(parents=True, exist_ok=True)
        return place

    def monitor(self, environment: str, name: str) -> dict[str, Any]:
        """A monitor, completed by its project's models, with its alerts."""
        resource = self.deployments.resource("quality_monitor", environment, name)
        models = {m.key: m.definition for m in self.deployments.resources("registered_model", environment, resource.project)}
        alerts = [{"name": a.name, "definition": a.definition}
                  for a in self.deployments.resources("alert", environment, resource.project)
                  if a.definition["monitor"] == name]  # fmt: skip
        return {"name": name, "monitor": completed(resource.definition, models), "alerts": alerts}

    def refresh_monitor(self, environment: str, name: str, as_of: str = "", trigger: str = "manual") -> str:
        """Start a refresh of a monitor; the run's id. Raises NotFound."""
        self.deployments.resource("quality_monitor", environment, name)
        for endpoint in self.deployments.resources("model_serving_endpoint", environment):
            self.inference.flush(environment, endpoint.name)
        arguments = [name, as_of] if as_of else [name]
        return self.submit_builtin(environment, "refresh-monitor", arguments, label=f"monitor-{name}", trigger=trigger)

    def put_endpoint(self, identity: Identity, environment: str, name: str, body: Mapping[str, Any]) -> None:
        """Make or change an endpoint by hand, for a model or a feature spec. Raises Conflict, InvalidInput, NotPermitted."""
        wanted = definition(parse_resource("model_serving_endpoint", {**body, "name": name}))
        self.access.authorize(identity, "MANAGE ENDPOINT", "endpoint", f"{environment}.{name}")
        if len(named := {e.model for e in served_entities(environment, wanted)}) > 1:
            raise InvalidInput(f"an endpoint serves versions of one model, not of {' and '.join(sorted(named))}")
        entity = served_entity(environment, wanted)[0]
        self.access.authorize(identity, "EXECUTE", "function" if self.feature_specs.find(entity) else "model", entity)
        if any(r.name == name for r in self.deployments.resources("model_serving_endpoint", environment)):
            self.inference.flush(environment, name)  # what was asked of another model goes to that model's table
        self.deployments.put(identity, environment, "model_serving_endpoint", name, wanted)
        self.endpoints.wake()

    def flush_endpoint(self, environment: str, name: str) -> int:
        """Move an endpoint's logged requests into its bronze table; how many."""
        return self.inference.flush(environment, name)

    def trace(self, identity: Identity, environment: str, prediction_id: str) -> dict[str, Any]:
        """From one prediction back to where it came from."""
        return Tracer(self.catalog, self.registry, self.lineage, self.sql).trace(identity, environment, prediction_id)

    def _let_operator_in(self) -> None:
        """Whoever owns the files of a home cannot lock themselves out of it."""
        self.identities.enable(self.operator)
        try:
            self.identities.authenticate(self.home.operator_token())
        except Unauthenticated:
            self.home.keep_operator_token(self.identities.issue(self.operator, comment="operator of this home"))

    def touched(self, identity: Identity, table: str, version: int) -> dict[str, Any]:
        """From one version of a table forward to everything that it went into."""
        return Touched(self.catalog, self.lineage, self.sql).of(identity, table, version)

    def _submit_test(self, environment: str, model: str, version: int) -> str:
        plan = self.delivery.plan(model)
        for endpoint in self.deployments.resources("model_serving_endpoint", environment) if plan and plan.limits.replay else ():
            self.inference.flush(environment, endpoint.name)  # what is replayed lies in tables
        return self.submit_builtin(environment, "deliver", [model, str(version)], label=f"deliver-{model.partition('.')[2]}",
                                   trigger=f"{model} version {version}")  # fmt: skip

    def _tell(self, kind: str, subject: str, data: dict[str, Any]) -> None:
        with self.database.writing() as connection:
            self.outbox.emit(connection, kind, subject, data)

    def _launch(self, environment: str, endpoint: str) -> Launch:
        name = f"{environment}.{endpoint}"
        token = self.identities.issue(
            service_principal(environment), comment=f"endpoint {endpoint}", environment=environment, run_id=f"endpoint:{name}"
        )
        spool, scratch = self.settings.path("spool", name), self.settings.path("scratch", name)
        walls = self.walls.of_endpoint(environment, spool, scratch, self.online_folder(environment))
        return Launch(self.url, token, environment, spool, self.settings.path("logs", f"{name}.log"), scratch, walls)

    def _know_model(self, event: Event) -> None:
        """Whoever registered a model owns it, and grants can name it."""
        owner = event.data.get("principal") or service_principal(event.subject.partition(".")[0])
        self.catalog.adopt("model", event.subject, str(owner))

    def _forget_model(self, event: Event, name: str) -> None:
        """A model that is gone leaves neither an owner nor grants for the next of its name, and needs no data."""
        self.pins.sync(name)
        try:
            self.catalog.require("model", name)
        except NotFound:
            return
        if all(m.name != name for m in self.registry.models(name.rpartition(".")[0])):  # none was made since
            self.delivery.rollouts.forget(name)
            self.catalog.unregister(Identity(str(event.data.get("principal") or "system")), "model", name)

    def _rename_model(self, event: Event) -> None:
        """The owner keeps a renamed model; grants named the former name and end."""
        former = str(event.data["former_name"])
        try:
            self.catalog.adopt("model", event.subject, self.catalog.require("model", former).owner)
        except NotFound:
            self._know_model(event)
        self.pins.sync(event.subject)
        self.lineage.rename(f"model:{former}", f"model:{event.subject}")
        self._forget_model(event, former)

    def _answer_alert(self, event: Event) -> None:
        """Start the job that an alert names; delivered twice, it still starts once."""
        environment, _, name = event.subject.partition(".")
        alert = self.deployments.resource("alert", environment, name)
        definition = alert.definition
        incident = self.alerts.incident(int(event.data["incident"]))
        if not definition.get("run_job") or incident.run_id:
            return
        given, end = definition.get("params") or {}, _window_end(incident)
        parameters = {k: str(v).replace("{{alert.window_end}}", end) for k, v in given.items()}
        run_id = self.submit_job(self.service_identity(environment), environment, definition["run_job"],
                                 parameters=parameters, trigger=f"alert {name}", project=alert.project)  # fmt: skip
        self.alerts.answered_by(incident.id, run_id)

    def _identify(self, run: Run, task_key: str) -> TaskIdentity:
        token = self.identities.issue(
            run.principal, comment=f"run {run.id}", lifetime=_RUN_TOKEN_LIFETIME, environment=run.environment,
            run_id=run.id, commit=run.commit_id, scratch=run.scratch or None,
        )  # fmt: skip
        facts = {"run_id": run.id, "task": task_key, "commit": run.commit_id or "", "dirty": str(run.dirty).lower(),
                 "project": run.project, "job": run.job, "seed": str(seed_of(run, task_key)),
                 "autolog": self.settings.choice("autolog", ("light", "full", "off"))}  # fmt: skip
        return self.interpreters.equip(TaskIdentity(self.url, token, run.environment, facts), run, task_key)

    def _sandbox(self, run: Run, task: TaskDefinition) -> Sandbox | None:
        return self.walls.of_task(run, task, self.online_folder(run.environment))

    def _run_ended(self, run: Run) -> None:
        self.identities.revoke_run(run.id)
        if "again" in run.definition:
            self.reproduction.ended(run)
        elif run.scratch and run.job.startswith("request-"):
            self.code.tests_ended(run)
        if run.project == "boathouse" and run.job.startswith("deliver-") and run.state != "SUCCESS":
            model, version = run.definition["tasks"][0]["builtin_task"]["parameters"]
            self.delivery.run_failed(model, int(version), run.id, run.state)
        with self.database.writing() as connection:
            self.outbox.emit(connection, "run.ended", f"{run.environment}.{run.job}",
                             {"run_id": run.id, "state": run.state, "project": run.project})  # fmt: skip

    def _task_moved(self, run: Run, what: str, facts: Mapping[str, Any]) -> None:
        with self.database.writing() as connection:
            self.outbox.emit(connection, f"task.{what}", f"{run.environment}.{run.job}", {"run_id": run.id, **facts})

    def _run_slow(self, run: Run, seconds: int) -> None:
        with self.database.writing() as connection:
            facts = {"run_id": run.id, "reason": f"it goes on for longer than {seconds} s"}
            self.outbox.emit(connection, "run.slow", f"{run.environment}.{run.job}", facts)

    def _check_launch(self, run: Run) -> None:
        """Asked again at launch: between submit and launch a release may have been withdrawn."""
        if run.project not in OURS and "again" not in run.definition:  # which runs what ran before, and touches nothing
            self._check_code(run.project, run.environment, run.commit_id, run.dirty, run.scratch)
        with self.database.writing() as connection:
            self.outbox.emit(connection, "run.started", f"{run.environment}.{run.job}",
                             {"run_id": run.id, "project": run.project})  # fmt: skip

    def _check_code(self, project: str, environment: str, commit: str | None, dirty: bool, scratch: str) -> None:
        """Whether an environment may run a commit. Raises Conflict, NotReleased."""
        if environment == "dev":
            return
        if dirty or not commit:
            raise Conflict(f"{environment} runs committed code only, and {project} was deployed there without a commit")
        self.code.check_policy(project, environment, commit, dirty=False, scratch=scratch)

    def _submit_child(self, parent: Run, job: str, parameters: Mapping[str, str], start_key: str) -> str:
        identity = Identity(parent.principal, self.identities.groups_of(parent.principal), parent.environment,
                            scratch=parent.scratch or None)  # fmt: skip
        return self.submit_job(
            identity, parent.environment, job, parameters=parameters, scratch=parent.scratch, trigger=f"run {parent.id}",
            start_key=start_key, parent_run=parent.id, project=parent.project,
        )  # fmt: skip

    def _start_job(self, job: Startable, parameters: Mapping[str, str], trigger: str, start_key: str) -> str:
        return self.submit_job(self.service_identity(job.environment), job.environment, job.name, parameters=parameters,
                               trigger=trigger, start_key=start_key)  # fmt: skip


def _secured(run: Run) -> tuple[SecurableKind, str]:
    """What a run is guarded by: its job; in a throw-away place, where jobs are no securables, the environment."""
    return ("catalog", run.environment) if run.scratch else ("job", f"{run.environment}.{run.job}")


def _window_end(incident: Incident) -> str:
    """The end of the newest window that an alert fired for: what a retraining in simulated time is as of."""
    newest = [w for w in incident.windows if w["violated"]][-1]
    granularity = parse_granularity(newest.get("granularity") or "1 week")
    return granularity.end(clock.parse_instant(newest["start"])).isoformat()
