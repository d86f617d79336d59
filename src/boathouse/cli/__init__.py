"""The command line: verbs for people."""

from boathouse.cli.app import main

__all__ = ["main"]
