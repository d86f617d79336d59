"""The same verbs over HTTP: what a shell, a notebook, a task and the command line hold in their hands."""

from boathouse.client.http import Http
from boathouse.client.lake import Lake

__all__ = ["Http", "Lake"]
