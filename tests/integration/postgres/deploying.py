"""Deploys, merges and releases, and is killed while doing so: `python deploying.py HOME FOLDER`, one order a line.

    deploy VERSION KILL    the project's folder of that version to dev
    destroy KILL           all that it has in dev
    merge NUMBER KILL      a merge request
    release VERSION KILL   main to prod
    race ROUNDS            three processes at once deploy the one version, the other, and destroy

KILL is the number of the step, a statement, a commit, a process begun or a change of the file system, before which the
fork that carries the order out ends as by kill -9. Answers `killed` or `done`. Settings come from the environment.
"""

import sys
from functools import partial
from pathlib import Path

from killed import die_at, ended, forked

from boathouse import settings
from boathouse.identity import Identity
from boathouse.platform import Platform

ADMIN = Identity("admin", frozenset({"admins"}))
_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "subprocess.Popen")


def act(platform: Platform, folder: Path, words: list[str]) -> None:
    """Carry an order out."""
    match words:
        case ["deploy", version]:
            platform.code.deploy(ADMIN, "dev", path=str(folder / version))
        case ["destroy"]:
            platform.code.destroy(ADMIN, "dev", "shop")
        case ["merge", number]:
            platform.code.merge(ADMIN, int(number))
        case ["release", version]:
            platform.code.cut_release(ADMIN, "shop", version)


def main(home: str, folder: Path) -> None:
    platform = Platform(settings.load(home=home))

    def killed_at(number: int, words: list[str]) -> None:
        die_at(platform.database.engine, number, _CHANGES)
        act(platform, folder, words)

    def repeat(rounds: int, words: list[str]) -> None:
        for _ in range(rounds):
            act(platform, folder, words)

    print("ready", flush=True)
    for line in sys.stdin:
        *words, last = line.split()
        if words == ["race"]:
            works = [partial(repeat, int(last), w) for w in (["deploy", "one"], ["deploy", "two"], ["destroy"])]
        else:
            works = [partial(killed_at, int(last), words)]
        print(ended(*[forked(work, platform.database.close) for work in works]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
