"""The project file's own part: its name, variables and targets."""

from typing import Any, Literal

from pydantic import Field, field_validator

from boathouse.errors import InvalidName
from boathouse.names import check_project
from boathouse.project.resources import Resources
from boathouse.project.shape import PauseStatus, Permission, Principal, Shape, Tags, Text, Texts, Word, words

ENVIRONMENTS = ("dev", "staging", "prod")
_HOW_BUNDLED = words("cluster_id compute_id databricks_cli_version deployment engine git")
_INFRASTRUCTURE = words("artifacts python scripts sync workspace experimental")


class BundleInfo(Shape):
    """The project's name, which is the same in every environment."""

    name: str
    uuid: str | None = None
    unsupported = _HOW_BUNDLED

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        try:
            return check_project(name)
        except InvalidName as error:
            raise ValueError(str(error)) from error


class TargetBundle(Shape):
    """What a target says of the project itself."""

    name: str | None = None
    uuid: str | None = None
    unsupported = _HOW_BUNDLED


class Variable(Shape):
    """A value that a target, a flag or the environment can replace."""

    default: Any = None
    description: str = ""
    type: Literal["string", "complex"] = "string"
    unsupported = words("lookup")


class Presets(Shape):
    """What a target changes in every resource. Models, schemas and volumes keep the names code writes."""

    name_prefix: Text = ""
    trigger_pause_status: PauseStatus | None = None
    jobs_max_concurrent_runs: int | None = Field(default=None, ge=1)
    tags: Tags = Field(default_factory=dict)
    unsupported = words("pipelines_development source_linked_deployment artifacts_dynamic_version")


class TargetGit(Shape):
    """Which branch's heads the target runs; `*` stands for one level of its name."""

    branch: Word | None = None
    unsupported = words("origin_url")


class TestFolders(Shape):
    """Where the tests are."""

    __test__ = False

    unit: Word = "tests/unit"
    integration: Word = "tests/integration"
    network: bool = False
    """Whether unit tests may use the network after all."""


class Target(Shape):
    """An environment to deploy to, and what is different there."""

    mode: Literal["development", "production"] | None = None
    default: bool = False
    environment: Word | None = None
    git: TargetGit = TargetGit()
    variables: dict[str, Any] = Field(default_factory=dict)
    presets: Presets = Presets()
    run_as: Principal | None = None
    permissions: tuple[Permission, ...] = ()
    bundle: TargetBundle = TargetBundle()
    resources: Resources = Resources()
    unsupported = _INFRASTRUCTURE | words("cluster_id compute_id")


class Document(Shape):
    """A whole project file."""

    bundle: BundleInfo
    include: Texts = ()
    variables: dict[str, Variable] = Field(default_factory=dict)
    targets: dict[str, Target] = Field(default_factory=dict)
    resources: Resources = Resources()
    presets: Presets = Presets()
    run_as: Principal | None = None
    permissions: tuple[Permission, ...] = ()
    tests: TestFolders = TestFolders()
    unsupported = _INFRASTRUCTURE | words("environments")
