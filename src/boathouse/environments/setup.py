"""What a new installation holds: three environments, the persona groups and who may do what in each."""

from collections.abc import Iterable

from boathouse.catalog import METASTORE, AccessControl, Catalog
from boathouse.environments.entrusted import of_data_alone
from boathouse.identity import EVERYBODY, Identities, Identity

ENVIRONMENTS = ("dev", "staging", "prod")
GROUPS = ("admins", "data-engineers", "data-scientists", "ml-engineers", "business-analysts")

_USE = ("USE CATALOG", "USE SCHEMA")
_WORK = (
    *_USE,
    "CREATE SCHEMA",
    "CREATE TABLE",
    "CREATE VOLUME",
    "CREATE FUNCTION",
    "SELECT",
    "MODIFY",
    "READ VOLUME",
    "WRITE VOLUME",
    "USE COMPUTE",
)
_MODELS = ("CREATE MODEL", "EXECUTE", "PROMOTE", "MANAGE ENDPOINT", "QUERY")
_ALL = ("ALL PRIVILEGES",)
_NO_HAND_ON_DATA = (*_USE, "BROWSE", "SELECT", "READ VOLUME", "EXECUTE", "DEPLOY", "RUN", "MERGE", "PROMOTE",
                    "APPROVE", "MANAGE ENDPOINT", "QUERY", "USE COMPUTE")  # fmt: skip

GRANTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("admins", "dev"): (*_ALL, "MANAGE"),
    ("admins", "staging"): (*_ALL, "MANAGE"),
    ("admins", "prod"): (*_NO_HAND_ON_DATA, "MANAGE"),
    ("data-engineers", "dev"): (*_WORK, "DEPLOY", "RUN"),
    ("data-engineers", "staging"): (*_USE, "SELECT", "RUN"),
    ("data-engineers", "prod"): (*_USE, "SELECT"),
    ("data-scientists", "dev"): (*_WORK, *_MODELS, "DEPLOY", "RUN"),
    ("data-scientists", "staging"): (*_USE, "SELECT", "EXECUTE"),
    ("data-scientists", "prod"): (*_USE, "EXECUTE"),
    ("ml-engineers", "dev"): (*_WORK, *_MODELS, "DEPLOY", "RUN"),
    ("ml-engineers", "staging"): _ALL,
    ("ml-engineers", "prod"): _NO_HAND_ON_DATA,
}
"""(group, environment) -> privileges on its catalog. business-analysts hold nothing until a schema is granted."""

JOBS = (*_WORK, *_MODELS, "RUN")
"""What an environment's service principal, under which its jobs run, may do there."""

SHARED_SCHEMAS = ("features", "monitoring")
"""Schemas of prod that data scientists may read besides the inference tables."""

SHARED_TABLES = ("_inference", "_inference_profile_metrics", "_inference_drift_metrics")
"""How the names of inference and monitoring tables end, which data scientists may read in prod, too."""


def service_principal(environment: str) -> str:
    """The identity of an environment's jobs."""
    return f"{environment}-jobs"


def service_identity(identities: Identities, environment: str) -> Identity:
    """The environment's own identity, for what is done in its name."""
    name = service_principal(environment)
    return Identity(name, identities.groups_of(name), environment)


def set_up(catalog: Catalog, access: AccessControl, identities: Identities, operator: str) -> None:
    """Make what is missing; the operator, who owns the files anyway, joins the admins."""
    for group in (*GROUPS, EVERYBODY):
        identities.ensure(group, "group")
    identities.ensure(operator, "user")
    identities.add_member("admins", operator)
    catalog.adopt("metastore", METASTORE, "admins")
    for environment in ENVIRONMENTS:
        if any(s.name == environment for s in catalog.securables("catalog")):
            _mend(access, operator, environment)
            continue
        catalog.create_catalog(environment, "admins", f"The {environment} environment")
        jobs = service_principal(environment)
        identities.ensure(jobs, "service_principal")
        access.grant(operator, [jobs], JOBS, "catalog", environment)
        for (group, where), privileges in GRANTS.items():
            if where == environment:
                access.grant(operator, [group], privileges, "catalog", environment)
    for schema in SHARED_SCHEMAS:
        access.grant(operator, ["data-scientists"], ["SELECT"], "schema", f"prod.{schema}")


def _mend(access: AccessControl, operator: str, environment: str) -> None:
    # homes made before computes came lack it; where it was given once and taken away, it stays away
    jobs = service_principal(environment)
    if not access.ever_granted(jobs, "USE COMPUTE", "catalog", environment):
        access.grant(operator, [jobs], ["USE COMPUTE"], "catalog", environment)


DATA_PROJECTS = ("DEPLOY", "RUN")
"""What data engineers may do in prod with a feature or ingest project, from when it first reaches staging."""


def share_project(catalog: Catalog, project: str, kinds: Iterable[str]) -> None:
    """Let data engineers deploy and run a project in prod that is new and moves data alone.

    It is done once: what is taken away later stays away.
    """
    name = f"prod.{project}"
    if of_data_alone(kinds) and not catalog.exists("project", name):
        catalog.adopt("project", name, catalog.require("catalog", "prod").owner)
        catalog.access.grant("system", ["data-engineers"], DATA_PROJECTS, "project", name)


def share(access: AccessControl, table: str) -> None:
    """Let data scientists read a new table of prod if it is an inference or monitoring table."""
    if table.startswith("prod.") and table.endswith(SHARED_TABLES):
        access.grant("system", ["data-scientists"], ["SELECT"], "table", table)
