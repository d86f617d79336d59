"""Processes of this machine, told apart."""

from pathlib import Path


def process_started(pid: int) -> str | None:
    """When a process began, in the kernel's ticks; tells it from a later one with the same number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
