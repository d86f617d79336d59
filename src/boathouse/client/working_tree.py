"""A working tree on its way to a server: by its path where both are on one machine, else through the caller's workspace."""

from pathlib import Path

from boathouse.client.connection import Connection


def source_of(lake: Connection, folder: Path, project: str | None, *, sync: bool = False) -> dict[str, str]:
    """What a deployment names as its source: `path`, or `project` and `ref`, a commit of the workspace with all of the folder.

    The second where the server is on another machine, and where `sync` asks for it.
    Raises Conflict for files that clash with the workspace, InvalidInput for a folder that cannot be synced.
    """
    if not project or (not sync and lake.same_machine):
        return {"path": str(folder)}
    from boathouse.client.sync import Sync, unsettled

    done = Sync(lake, folder, project).once()
    if done.conflicts:
        raise unsettled(done.conflicts)
    return {"project": project, "ref": str(done.head)}
