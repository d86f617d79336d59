"""Experiments that a bundle declares, in MLflow's tables; MLflow is never imported here."""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from boathouse import clock
from boathouse.registry.artifacts import ARTIFACTS_ROOT
from boathouse.registry.ownership import ENVIRONMENT_TAG, PRINCIPAL_TAG
from boathouse.registry.store import WORKSPACE

_KIND = ("mlflow.experimentKind", "custom_model_development")
_NOTE = "mlflow.note.content"
_OURS = (ENVIRONMENT_TAG, PRINCIPAL_TAG, _KIND[0])

_experiments = sa.table(
    "experiments", sa.column("experiment_id", sa.Integer), sa.column("name", sa.Text), sa.column("workspace", sa.Text),
    sa.column("artifact_location", sa.Text), sa.column("lifecycle_stage", sa.Text), sa.column("creation_time", sa.BigInteger),
    sa.column("last_update_time", sa.BigInteger),
)  # fmt: skip
_tags = sa.table(
    "experiment_tags", sa.column("experiment_id", sa.Integer), sa.column("key", sa.Text), sa.column("value", sa.Text)
)


def declared_name(environment: str, name: str) -> str:
    """Where an experiment of a bundle is: what code of the environment means by the name."""
    plain = name.strip("/")
    return f"/{plain}" if plain.partition("/")[0] == environment and "/" in plain else f"/{environment}/{plain}"


def declared_tags(description: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that stand for a bundle's `description` and `tags`; those that Boathouse writes itself are left out."""
    return {**{k: v for k, v in tags.items() if k not in _OURS}, **({_NOTE: description} if description else {})}


def declare_experiment(connection: sa.Connection, environment: str, name: str, principal: str, tags: Mapping[str, str],
                       former: Iterable[str] = ()) -> str:  # fmt: skip
    """Make an experiment, or change its tags; `former` are keys of tags that go unless `tags` has them.

    `made`, `kept`, or `deleted` for one that somebody deleted, which stays so.
    """
    here = (_experiments.c.name == name, _experiments.c.workspace == WORKSPACE)
    found = connection.execute(sa.select(_experiments.c.experiment_id, _experiments.c.lifecycle_stage).where(*here)).first()
    if found is None:
        now = clock.millis()
        connection.execute(_experiments.insert().values(
            name=name, workspace=WORKSPACE, artifact_location="", lifecycle_stage="active", creation_time=now,
            last_update_time=now))  # fmt: skip
        number = connection.execute(sa.select(_experiments.c.experiment_id).where(*here)).scalar_one()
        place = f"{ARTIFACTS_ROOT.rstrip('/')}/{number}"
        connection.execute(_experiments.update().where(*here).values(artifact_location=place))
        own = {ENVIRONMENT_TAG: environment, PRINCIPAL_TAG: principal, _KIND[0]: _KIND[1]}
    elif found.lifecycle_stage != "active":
        return "deleted"
    else:
        number, own = found.experiment_id, {}
    for key in {*former, *tags}:
        connection.execute(_tags.delete().where(_tags.c.experiment_id == number, _tags.c.key == key))
    for key, value in {**own, **tags}.items():
        connection.execute(_tags.insert().values(experiment_id=number, key=key, value=value))
    return "made" if own else "kept"
