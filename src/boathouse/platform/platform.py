"""Every room of one home, wired."""

import getpass
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from boathouse import clock
from boathouse.alerts import Alerts
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
    SharedCode,
    Workspaces,
    service_identity,
    service_principal,
    set_up,
)
from boathouse.errors import InvalidInput, NotFound, Unauthenticated
from boathouse.events import Channel, Chat, Mail, Notifications, Outbox, Post, Webhooks
from boathouse.features import FeatureSpecs, OnlineStores, RegisteredFeatures
from boathouse.home import Home
from boathouse.identity import Identities, Identity
from boathouse.jobs import JOB_RUNS, Runner, Runs, end_marked
from boathouse.lake import WorkerPool, cluster_at, storages
from boathouse.platform.code import CodeDelivery
from boathouse.platform.computing import Computing
from boathouse.platform.doors import doors
from boathouse.platform.git_host import GitHost
from boathouse.platform.git_statuses import CHANNEL as STATUSES
from boathouse.platform.git_statuses import GitStatuses
from boathouse.platform.hand_made_endpoints import HandMadeEndpoints
from boathouse.platform.held_versions import HeldVersions
from boathouse.platform.housekeeping import Housekeeping
from boathouse.platform.inference import InferenceFlush
from boathouse.platform.interpreters import Interpreters, open_runs
from boathouse.platform.job_desk import JobDesk
from boathouse.platform.joining import Joining
from boathouse.platform.leading import Leading
from boathouse.platform.lineage import ServedLineage
from boathouse.platform.model_pins import ModelPins
from boathouse.platform.monitor_desk import MonitorDesk
from boathouse.platform.notices import Notices
from boathouse.platform.openlineage import Feed, Teller, sender
from boathouse.platform.publishing import PublishingDesk
from boathouse.platform.refreshing import Refreshing
from boathouse.platform.reproduction import Reproduction
from boathouse.platform.rolling import Rolling
from boathouse.platform.run_hooks import RunHooks, test_label, tests_going, version_tested
from boathouse.platform.secrecy import Secrecy
from boathouse.platform.seen_lineage import SeenLineage
from boathouse.platform.sharing import Sharing
from boathouse.platform.subscriptions import subscribe
from boathouse.platform.told_models import ToldModels
from boathouse.platform.touched import Touched
from boathouse.platform.trace import Tracer
from boathouse.platform.traffic import TrafficDesk
from boathouse.platform.users import FeatureUsers, ModelUsers
from boathouse.platform.walls import Walls
from boathouse.registry import Registry
from boathouse.serving import Endpoints, Launch
from boathouse.settings import Settings

_log = logging.getLogger(__name__)
_RUN_TOKEN_LIFETIME = timedelta(days=2)


class Platform:
    """One lakehouse, opened by the process that owns its home. Close it, or use it as a context manager.

    A `session` is a command or a notebook that works without a server: no job starts by the clock in it, runs that a
    server left are left to the next server, and its own end with it. One that may `join` the home's owner shares its
    queue of runs and becomes the owner when that one ends.
    """

    def __init__(self, settings: Settings, session: bool = False, join: bool = False) -> None:
        self.settings = settings
        self._session, self.joined = session, join
        cluster_at(settings.engine)  # a setting that names no engine is refused before anything is made
        if join and settings.database_url.startswith("sqlite"):
            raise InvalidInput("several servers share a PostgreSQL database: set BOATHOUSE_DATABASE_URL")
        self.home = Home(settings)
        self.home.acquire(join, session)
        try:
            self.database = Database(settings.database_url)
            self.leading = Leading(self.home, self.database)
            self.leading.begin(join)
            self._build()
        except BaseException:
            self.leading.stop()
            self.home.release()
            raise

    def _build(self) -> None:
        self.url = self.settings.url or ""
        self._build_data()
        self._build_people()
        self._build_work()
        self._build_models()

    def _build_data(self) -> None:
        settings = self.settings
        self.database.create_tables()
        self.storages = storages(settings.storage, settings.storages, os.environ, settings.storage_role_arn,
                                 settings.storage_roles)  # fmt: skip
        joining = Joining(settings, self.home, self.database, self.storages)
        joining.check(self.joined)
        self.identities = Identities(self.database)
        self.audit = Audit(self.database, settings.path("secrets", "audit.key"), settings.path("audit.head"))
        joining.tell(self.joined)
        self.access = AccessControl(self.database, self.audit)
        self.lineage = Lineage(self.database)
        self.storages.check(settings.span("storage_credential_lifetime"))
        self.outbox, self.webhooks = self._make_events()
        self.walls, self.catalog = self._make_catalog()
        self.locations, self.functions = Locations(self.catalog), Functions(self.database, self.catalog)
        self.volumes = Volumes(self.database, self.catalog)
        self.feature_specs, self.declared_features, self.online_stores = (
            FeatureSpecs(self.database, self.catalog), RegisteredFeatures(self.database, self.catalog), self._make_online_stores()
        )  # fmt: skip
        self.catalog.unpublish = self.online_stores.withdraw
        workers = WorkerPool(self.home.place("sql"), settings.number("sql_workers", 1), settings.size("sql_memory"))
        seconds = settings.span("sql_timeout").total_seconds()
        self.sql = SqlDesk(self.catalog, self.functions, workers, seconds, identify=self._person)
        self.cloner = Cloner(self.catalog, self.sql, settings.path("clones"))
        self.keys = PrimaryKeys(self.database, self.catalog)

    def _build_people(self) -> None:
        self.securables = Securables(self.database, self.catalog, self.identities, ENVIRONMENTS)
        self.operator = getpass.getuser()
        with self.database.writing():  # all of it or nothing: a crash must not leave an environment without its grants
            set_up(self.catalog, self.access, self.identities, self.operator)
        self._let_operator_in()
        self.people, self.logins, self.federation = doors(
            self.settings, self.database, self.identities, self.access, self.audit, self.operator
        )
        self.sharing = Sharing(Shares(self.database, self.catalog), self.people, self.identities)

    def _build_work(self) -> None:
        settings = self.settings
        self.deployments = Deployments(self.database, self.catalog, self.home.id)
        shared = SharedCode(self.database) if self.joined else None
        self.projects = Projects(self.database, self.audit, settings.path("code"), settings.path("checkouts"), shared)
        self.workspaces = Workspaces(self.projects, self.audit)
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
        self.jobs = JobDesk(self.database, self.access, self.audit, self.identities, self.deployments, self.projects, self.code,
                            self.runner, self.volumes, settings.path("runs"))  # fmt: skip
        self.git_host = GitHost(self.identities, self.projects, self.remotes, self.code)

    def _build_models(self) -> None:
        self.reproduction, self.pins = Reproduction(self), ModelPins(self.catalog, self.registry)
        self.delivery, self.held_versions = self._make_delivery()
        self.endpoints, self.rolling, self.traffic = self._make_endpoints()
        self.registry.users, self.catalog.protection.users = ModelUsers(self.deployments, self.endpoints), FeatureUsers(
            self.catalog, self.registry, self.feature_specs, self.declared_features, self.deployments, self.endpoints
        )
        self.alerts = Alerts(self.database, self.outbox, self.audit)
        self.notices = Notices(self.notifications, self.runs, self.deployments, self.alerts)
        self.inference = InferenceFlush(self.catalog, self.deployments, self.service_identity, self.settings.path("spool"),
                                        lambda: self.home.owned, self.sql)  # fmt: skip
        self.publishing = PublishingDesk(self.catalog, self.jobs, self.runs)
        self.hand_made_endpoints = HandMadeEndpoints(self.access, self.deployments, self.feature_specs, self.endpoints,
                                                     self.inference.flush)  # fmt: skip
        self.monitors = MonitorDesk(self.deployments, self.alerts, self.jobs, self.inference, self.identities, self.catalog,
                                    self.sql)  # fmt: skip
        self.starts, self.refreshing = self.jobs.starts, Refreshing(self.catalog, self.deployments, self.jobs.starts)
        self.housekeeping = self._make_housekeeping()

    def _make_housekeeping(self) -> Housekeeping:
        kept = (AUDIT, LINEAGE, JOB_RUNS, DEPLOYMENTS)
        tables = SystemTables(self.database, self.catalog, ENVIRONMENTS, self.service_identity, kept)
        return Housekeeping(self.audit, tables, self._tidy_hourly, lambda: self.leading.leads, lambda: self.home.owned)

    def _tidy_hourly(self) -> None:
        self.interpreters.prune(self.runs)
        self.code.prune_checkouts(self.settings.span("python_environments_kept"), open_runs(self.runs))
        self.registry.sweep(self.settings.artifact_root)

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
        private = self.settings.switch("webhook_private_addresses")
        post = Post(private, lambda name: self.webhooks.signing(*name.split(".", 1)))
        mail = Mail(self.settings.smtp_url, self.settings.smtp_from)
        self.git_statuses = GitStatuses(self.projects, self.remotes, private, lambda: self.url)
        channels: dict[str, Channel] = {"email": mail, "webhook": post, "apprise": Chat(private), STATUSES: self.git_statuses}
        return made, secrecy, Notifications(self.database, channels, secrecy.in_address)

    def _hide(self, run_id: str, texts: Sequence[str]) -> None:
        self.runner.hide(run_id, texts)

    def _make_runner(self) -> tuple[Runner, Runs]:
        self.interpreters = Interpreters(self.settings.path("python"), self.settings.span("python_environments_kept"),
                                         self.settings.python_runtime, self.walls)  # fmt: skip
        slots = self.settings.number("parallel_tasks", 1)
        hooks = RunHooks(self).ports()
        runner = Runner(self.database, self.home.executor(), self.home.place("runs"), hooks, slots, self._session)
        return runner, runner.runs

    def _make_code(self) -> CodeDelivery:
        declared = Declared(self.database, self.catalog, self.securables, self.volumes, self.identities)
        made = CodeDelivery(self.catalog, self.identities, self.deployments, self.projects, self.runner, self.registry, declared)
        made.told = lambda number, check: self.git_statuses.note(self.notifications, number, check)
        return made

    def _make_delivery(self) -> tuple[Delivery, HeldVersions]:
        delivery = Delivery(self.registry, self.deployments, self.access, self.audit, self._submit_test,
                            self._tested_by, self._tell, self.runs.started_by)  # fmt: skip
        self.registry.check_entry = delivery.check_entry
        return delivery, HeldVersions(self.registry, delivery, lambda model: tests_going(self.runs, model))

    def _make_endpoints(self) -> tuple[Endpoints, Rolling, TrafficDesk]:
        key, rollouts = self.home.secret("endpoints.key"), self.delivery.rollouts
        made = Endpoints(self.database, self.deployments, self.registry, self.feature_specs, rollouts, self._launch, key,
                         ServedLineage(self.lineage).note, self.leading.leader)  # fmt: skip
        desk = TrafficDesk(self.deployments, made, self.delivery, self.settings.path("logs"))
        return made, Rolling(made, rollouts), desk

    def start(self, url: str, lazily: bool = False) -> None:
        """Begin to work: the address is known, so runs can reach it. Earlier runs that were cut off go on.

        `lazily` starts model servers only once somebody asks for an endpoint.
        """
        self.url, self.runner.executors.url = url, self.settings.address or url
        subscribe(self)
        self.take_up()
        self.home.once("model-pins", self.pins.catch_up)
        if not lazily:
            self.sql.warm()
        self.housekeeping.start()
        self.inference.start()
        if self.leading.leads:
            self._lead(lazily)
        self.leading.start(self.runner.executors, url, self._end_orphans, lambda: self._lead(lazily=False))

    def _lead(self, lazily: bool) -> None:
        """Do what one server does for all: events, what starts by itself, endpoints."""
        if self.feed:
            self.feed.start()
        self.outbox.start()
        self.webhooks.start()
        self.notifications.start()
        self.endpoints.start(lazily)
        self.rolling.start()
        if not self._session:
            self.starts.start()
            self.held_versions.start()

    def take_up(self) -> None:
        """Go on with the runs that an earlier owner of this home left when it ended, and end what else it left running."""
        for run_id in self.runner.recover():
            _log.warning("run %s was cut off: %s", run_id, "it ends" if self._session else "it goes on")
        self._end_orphans()

    def _end_orphans(self) -> None:
        """End model servers that an earlier process left behind, here, and forget what it served."""
        if self.home.owned:
            end_marked(f"{self._endpoint_mark('')}")
        if self.leading.leads:
            self.endpoints.forget(here=self.database.is_sqlite)

    def _endpoint_mark(self, name: str) -> str:
        return str(self.settings.path("endpoints")) + f"/{name}"

    def close(self) -> None:
        """End all work and give the home back."""
        self.leading.stop()
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
        return service_identity(self.identities, environment)

    def _person(self, name: str) -> Identity:
        return Identity(name, self.identities.groups_of(name))

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
        return self.jobs.submit_builtin(environment, "deliver", [model, str(version)], label=test_label(model.partition(".")[2]),
                                        trigger=f"{model} version {version}", code=self.delivery.declared(model))  # fmt: skip

    def _tested_by(self, run_id: str) -> tuple[str, int] | None:
        with suppress(NotFound):  # model servers' tokens name no run
            return version_tested(self.runs.get(run_id))
        return None

    def _tell(self, kind: str, subject: str, data: dict[str, Any]) -> None:
        with self.database.writing() as connection:
            self.outbox.emit(connection, kind, subject, data)

    def _launch(self, environment: str, endpoint: str) -> Launch:
        name = f"{environment}.{endpoint}"
        token = self.identities.issue(
            service_principal(environment), comment=f"endpoint {endpoint}", environment=environment, run_id=f"endpoint:{name}"
        )
        spool, scratch = self.settings.path("spool", name), self.settings.path("scratch", name)
        online, sockets = self.online_folder(environment), self.online_stores.sockets(environment)
        walls = self.walls.of_endpoint(environment, spool, scratch, online, sockets)
        durable = self.settings.switch("inference_log_sync")
        return Launch(self.url, token, environment, spool, self.settings.path("logs", f"{name}.log"), scratch, walls, durable,
                      self.settings.number("endpoint_queue", 1), self._endpoint_mark(name))  # fmt: skip
