"""Jobs: tasks in a DAG."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from boathouse.environments import runtime
from boathouse.errors import NotFound
from boathouse.project.circle import circle
from boathouse.project.notification import EmailNotifications, Health, NotificationSettings, WebhookNotifications
from boathouse.project.shape import (
    Permission,
    Principal,
    Resource,
    Shape,
    Tags,
    Text,
    Variables,
    Word,
    words,
)
from boathouse.project.starts import Continuous, Schedule, Trigger


class SparkPythonTask(Shape):
    """A Python file of the project; no Spark is implied."""

    python_file: Word
    parameters: tuple[Text, ...] = ()
    unsupported = words("source")


class NotebookTask(Shape):
    """A notebook of the project, .ipynb or .py with cell markers."""

    notebook_path: Word
    base_parameters: dict[str, Text] = Field(default_factory=dict)
    unsupported = words("source warehouse_id")


class PythonWheelTask(Shape):
    """An entry point of an installed package."""

    package_name: Word
    entry_point: Word
    parameters: tuple[Text, ...] = ()
    named_parameters: dict[str, Text] = Field(default_factory=dict)


class SqlFile(Shape):
    """A file of SQL statements."""

    path: Word
    unsupported = words("source")


class SqlTask(Shape):
    """SQL statements, from a file or written here."""

    file: SqlFile | None = None
    query: Word | None = None
    parameters: dict[str, Text] = Field(default_factory=dict)
    unsupported = words("warehouse_id alert dashboard")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.query is None):
            raise ValueError("give either file: {path: …} or query: with the SQL text")
        return self


class ConditionTask(Shape):
    """Compares two texts; `EQUAL_TO` and `NOT_EQUAL` as text, the others as numbers."""

    left: Text
    op: Literal[
        "EQUAL_TO", "NOT_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL"
    ]
    right: Text


class RunJobTask(Shape):
    """Runs another job and waits; `job_id: ${resources.jobs.<key>.id}` becomes that job's key."""

    job_name: Word | None = None
    job_id: Text | None = None
    job_parameters: dict[str, Text] = Field(default_factory=dict)
    unsupported = words(
        """git_source_info pipeline_params notebook_params python_params python_named_params jar_params
        sql_params spark_submit_params dbt_commands"""
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.job_name is None) == (self.job_id is None):
            raise ValueError("give either job_name or job_id")
        return self

    @property
    def job(self) -> str:
        """The job it runs."""
        return self.job_name or self.job_id or ""


class ForEachTask(Shape):
    """One run of `task` for each of `inputs`, a JSON list, a list, or a `{{reference}}` to one."""

    inputs: Text | tuple[Text | dict[str, Text], ...]
    concurrency: int = Field(default=1, ge=1, le=100)
    task: "Task"

    @model_validator(mode="after")
    def _alone(self) -> Self:
        if self.task.for_each_task:
            raise ValueError("the task of a for_each_task cannot be a for_each_task")
        if self.task.depends_on:
            raise ValueError(
                "the task of a for_each_task depends on nothing: put depends_on on the outer task"
            )
        return self


class Dependency(Shape):
    """Another task of the job; `outcome` asks for one answer of a condition."""

    task_key: Word
    outcome: Literal["true", "false"] | None = None

    @field_validator("outcome", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return str(value).lower() if isinstance(value, bool) else value


RunIf = Literal[
    "ALL_SUCCESS", "AT_LEAST_ONE_SUCCESS", "NONE_FAILED", "ALL_DONE", "AT_LEAST_ONE_FAILED", "ALL_FAILED"
]


class Task(Shape):
    """One step of a job: exactly one kind of task, after which others, and what happens when it fails."""

    task_key: Word = Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")
    description: str = ""
    depends_on: tuple[Dependency, ...] = ()
    run_if: RunIf = "ALL_SUCCESS"
    spark_python_task: SparkPythonTask | None = None
    notebook_task: NotebookTask | None = None
    python_wheel_task: PythonWheelTask | None = None
    sql_task: SqlTask | None = None
    condition_task: ConditionTask | None = None
    run_job_task: RunJobTask | None = None
    for_each_task: ForEachTask | None = None
    max_retries: int = Field(default=0, ge=-1)
    min_retry_interval_millis: int = Field(default=0, ge=0)
    retry_on_timeout: bool = False
    timeout_seconds: int = Field(default=0, ge=0)
    environment_key: Word | None = None
    libraries: tuple["Library", ...] = ()
    environment_vars: Variables = Field(default_factory=dict)
    compute: Word | None = None
    email_notifications: EmailNotifications = EmailNotifications()
    webhook_notifications: WebhookNotifications = WebhookNotifications()
    notification_settings: NotificationSettings = NotificationSettings()
    health: Health = Health()
    unsupported = words(
        """new_cluster existing_cluster_id job_cluster_key git_source_info disable_auto_optimization disabled"""
    )
    essential = words(
        """dbt_task pipeline_task alert_task dashboard_task spark_jar_task spark_submit_task clean_rooms_notebook_task
        power_bi_task dbt_cloud_task dbt_platform_task gen_ai_compute_task"""
    )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of task it gives."""
        return tuple(kind for kind in KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if len(self.kinds) != 1:
            given = " and ".join(self.kinds) or "none"
            raise ValueError(
                f"task '{self.task_key}' needs exactly one of {', '.join(KINDS)}; it has {given}"
            )
        return self


class PypiLibrary(Shape):
    """A package, with its version if it is `name==version`."""

    package: Word
    unsupported = words("repo")


class Library(Shape):
    """What a task needs besides its environment: a package, a wheel of the project, or a requirements file of it."""

    pypi: PypiLibrary | None = None
    whl: Word | None = None
    requirements: Word | None = None
    unsupported = words("jar egg maven cran")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(given is not None for given in (self.pypi, self.whl, self.requirements)) != 1:
            raise ValueError("a library is one of pypi: {package: …}, whl and requirements")
        return self


KINDS = tuple(name for name in Task.model_fields if name.endswith("_task"))


class JobParameter(Shape):
    """A parameter and the value it has unless a run says otherwise."""

    name: Word
    default: Text = ""


class EnvironmentSpec(Shape):
    """Packages of an environment, and environment variables of the tasks in it."""

    dependencies: tuple[Word, ...] = ()
    environment_vars: Variables = Field(default_factory=dict)
    unsupported = words("client environment_version base_environment java_dependencies jar_dependencies")


class JobEnvironment(Shape):
    """A Python environment for tasks: packages, on top of nothing, of `lock`, a lock file of the project, or of a `runtime`."""

    environment_key: Word
    spec: EnvironmentSpec = EnvironmentSpec()
    lock: Word | None = None
    runtime: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.lock and self.runtime:
            raise ValueError(f"environment '{self.environment_key}' has either a lock or a runtime")
        if self.runtime:
            try:
                runtime(self.runtime)
            except NotFound as error:
                raise ValueError(str(error)) from error
        return self


class Queue(Shape):
    """Whether a run waits when too many are running; else it is skipped."""

    enabled: bool = True


class Job(Resource):
    """Tasks in a DAG with what starts them. Times are in seconds, 0 means no limit."""

    name: Word | None = None
    description: str = ""
    tasks: tuple[Task, ...] = Field(min_length=1)
    parameters: tuple[JobParameter, ...] = ()
    schedule: Schedule | None = None
    trigger: Trigger | None = None
    continuous: Continuous | None = None
    max_concurrent_runs: int = Field(default=1, ge=1)
    timeout_seconds: int = Field(default=0, ge=0)
    queue: Queue = Queue()
    run_as: Principal | None = None
    environments: tuple[JobEnvironment, ...] = ()
    permissions: tuple[Permission, ...] = ()
    email_notifications: EmailNotifications = EmailNotifications()
    webhook_notifications: WebhookNotifications = WebhookNotifications()
    notification_settings: NotificationSettings = NotificationSettings()
    health: Health = Health()
    tags: Tags = Field(default_factory=dict)
    unsupported = words(
        """job_clusters git_source budget_policy_id usage_policy_id
        performance_target deployment edit_mode format"""
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if problem := next(self._problems(), None):
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        yield from _repeated("task_key", [task.task_key for task in self.tasks])
        yield from _repeated("parameter", [parameter.name for parameter in self.parameters])
        yield from _repeated("environment_key", [known.environment_key for known in self.environments])
        if self.continuous and (self.schedule or self.trigger):
            raise ValueError("a continuous job has neither a schedule nor a trigger")
        after = {task.task_key: [d.task_key for d in task.depends_on] for task in self.tasks}
        environments = {known.environment_key for known in self.environments} | {"default"}
        for task in self.tasks:
            for dependency in task.depends_on:
                if dependency.task_key not in after:
                    known = ", ".join(after)
                    yield f"task '{task.task_key}' depends on '{dependency.task_key}'; the tasks are {known}"
            if task.environment_key and task.environment_key not in environments:
                known = ", ".join(sorted(environments))
                asked = f"task '{task.task_key}' asks for environment '{task.environment_key}'"
                yield f"{asked}; there are {known}"
        if found := circle(after):
            yield f"tasks depend on each other in a circle: {' -> '.join(found)}"


def _repeated(what: str, names: list[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{what} '{name}' is given twice"
