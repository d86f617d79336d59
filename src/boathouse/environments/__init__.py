"""dev, staging and prod: who may do what there, which code may run there, and what is deployed."""

from boathouse.environments.commit_statuses import StatusCall, api_of, status_call
from boathouse.environments.declared import Declared
from boathouse.environments.deployments import BY_HAND, Deployment, Deployments, Resource
from boathouse.environments.entrusted import of_data_alone
from boathouse.environments.exported import DEPLOYMENTS
from boathouse.environments.git import Commit, FileChange, Repository
from boathouse.environments.hosts import HostEvent, check_delivery, read_event
from boathouse.environments.origin import Origin, parse_origin
from boathouse.environments.packs import known_commits, take_pack, write_pack
from boathouse.environments.permissions import LEVELS, experiment_securable, without_meaning
from boathouse.environments.policy import RULES, EnvironmentKind, Rule, check, matches
from boathouse.environments.project_folder import PROJECT_FILES, declared_project
from boathouse.environments.projects import MAIN, RELEASE_PATTERN, MergeRequest, Project, Projects, Release
from boathouse.environments.python_environments import PythonEnvironment, PythonEnvironments, Wanted
from boathouse.environments.python_lock import Lock, asked_for, find_lock, installed_packages, requirements
from boathouse.environments.remotes import Remotes
from boathouse.environments.run_as import is_lent, named_principal, principal_of
from boathouse.environments.runtimes import Runtime, runtime, runtimes
from boathouse.environments.sandbox import ALONE, SCRATCH, WALLED, Isolation, Sandbox, isolation
from boathouse.environments.sealed import seal, unseal
from boathouse.environments.served import ServedEntity, served_entities
from boathouse.environments.setup import ENVIRONMENTS, GROUPS, service_identity, service_principal, set_up, share, share_project
from boathouse.environments.shared_code import SharedCode
from boathouse.environments.synced_folder import Merge, Moved, SyncedFolder, ready
from boathouse.environments.working_tree import GitFacts, apply_diff, bring, holds, push, working_tree_facts
from boathouse.environments.workspaces import Workspace, Workspaces, workspace_branch

__all__ = [
    "ALONE",
    "BY_HAND",
    "DEPLOYMENTS",
    "ENVIRONMENTS",
    "GROUPS",
    "LEVELS",
    "MAIN",
    "PROJECT_FILES",
    "RELEASE_PATTERN",
    "RULES",
    "SCRATCH",
    "WALLED",
    "Commit",
    "Declared",
    "Deployment",
    "Deployments",
    "EnvironmentKind",
    "FileChange",
    "GitFacts",
    "HostEvent",
    "Isolation",
    "Lock",
    "Merge",
    "MergeRequest",
    "Moved",
    "Origin",
    "Project",
    "Projects",
    "PythonEnvironment",
    "PythonEnvironments",
    "Release",
    "Remotes",
    "Repository",
    "Resource",
    "Rule",
    "Runtime",
    "Sandbox",
    "ServedEntity",
    "SharedCode",
    "StatusCall",
    "SyncedFolder",
    "Wanted",
    "Workspace",
    "Workspaces",
    "api_of",
    "apply_diff",
    "asked_for",
    "bring",
    "check",
    "check_delivery",
    "declared_project",
    "experiment_securable",
    "find_lock",
    "holds",
    "installed_packages",
    "is_lent",
    "isolation",
    "known_commits",
    "matches",
    "named_principal",
    "of_data_alone",
    "parse_origin",
    "principal_of",
    "push",
    "read_event",
    "ready",
    "requirements",
    "runtime",
    "runtimes",
    "seal",
    "served_entities",
    "service_identity",
    "service_principal",
    "set_up",
    "share",
    "share_project",
    "status_call",
    "take_pack",
    "unseal",
    "without_meaning",
    "working_tree_facts",
    "workspace_branch",
    "write_pack",
]
