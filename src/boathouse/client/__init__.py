"""The same verbs over HTTP: what a shell, a notebook, a task and the command line hold in their hands."""

from boathouse.client.credentials import Credentials
from boathouse.client.http import Http
from boathouse.client.lake import Lake
from boathouse.client.login import by_browser, by_password
from boathouse.client.sync import Sync, Synced, unsettled
from boathouse.client.working_tree import on_this_machine, source_of

__all__ = [
    "Credentials", "Http", "Lake", "Sync", "Synced", "by_browser", "by_password", "on_this_machine", "source_of", "unsettled",
]  # fmt: skip
