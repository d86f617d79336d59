"""Models and versions under `env.schema.model`, their stages and aliases; MLflow is imported on demand."""

from boathouse.registry.actor import MAY_EDIT, MAY_LOG, MAY_READ, Actor, Denied, acting_as, unheard
from boathouse.registry.alias import check_alias
from boathouse.registry.artifacts import fetch_artifacts, local_artifacts
from boathouse.registry.comments import Comment
from boathouse.registry.declared_experiments import declare_experiment, declared_name, declared_tags
from boathouse.registry.embedding import mlflow_stores, prepare_mlflow, quietly
from boathouse.registry.ownership import JOB_RUN_TAG, check_files, check_owner
from boathouse.registry.service import UNSET, Registry
from boathouse.registry.values import (
    ARCHIVED,
    CHALLENGER,
    CHAMPION,
    NONE,
    PRODUCTION,
    STAGES,
    STAGING,
    InUse,
    ModelInfo,
    Origin,
    StageChange,
    Verdict,
    VersionInfo,
)

__all__ = [
    "ARCHIVED",
    "CHALLENGER",
    "CHAMPION",
    "JOB_RUN_TAG",
    "MAY_EDIT",
    "MAY_LOG",
    "MAY_READ",
    "NONE",
    "PRODUCTION",
    "STAGES",
    "STAGING",
    "UNSET",
    "Actor",
    "Comment",
    "Denied",
    "InUse",
    "ModelInfo",
    "Origin",
    "Registry",
    "StageChange",
    "Verdict",
    "VersionInfo",
    "acting_as",
    "check_alias",
    "check_files",
    "check_owner",
    "declare_experiment",
    "declared_name",
    "declared_tags",
    "fetch_artifacts",
    "local_artifacts",
    "mlflow_stores",
    "prepare_mlflow",
    "quietly",
    "unheard",
]
