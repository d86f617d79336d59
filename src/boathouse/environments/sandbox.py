"""Walls around a process of users' code: it sees the system, its interpreter and what it is given, and nothing else.

bubblewrap makes them out of the kernel's namespaces, for root and for ordinary users alike: a file system put together
from what is named here, processes of its own, no capability, and no network where none is wanted.
"""

import glob
import os
import shutil
import site
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from boathouse.errors import InvalidInput

PROGRAM = "bwrap"
SCRATCH = "/tmp"
"""Where a process finds the folder that is its alone, and HOME."""
ALONE = "BOATHOUSE_ALONE"
"""The environment variable of a process whose network is its own: nobody but itself answers there."""
WALLED = "BOATHOUSE_WALLED"
"""The environment variable of a process behind walls."""
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store", "/sys/devices/system",
           "/sys/fs/cgroup")  # fmt: skip
_ETC = (  # not all of it: run by root, a task could read shadow and the machine's private keys
    "alternatives", "ca-certificates", "crypto-policies", "fonts", "gai.conf", "group", "host.conf", "hostname", "hosts",
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "locale.alias", "magic", "mime.types", "nsswitch.conf",
    "OpenCL", "os-release", "passwd", "pki/ca-trust", "pki/tls/cert.pem", "pki/tls/certs", "protocols", "resolv.conf",
    "services", "ssl/cert.pem", "ssl/certs", "ssl/openssl.cnf", "timezone",
)  # fmt: skip
_KERNEL = ("sys", "irq", "bus", "fs", "acpi", "scsi", "sysrq-trigger", "kcore", "kmsg", "keys")
"""What root may write in /proc, or read, without any capability: /proc/sys names the program that dumps core, for one."""
_DEVICES = ("/dev/nvidia*", "/dev/dri", "/dev/kfd")
_ALONE = ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--cap-drop", "ALL",
          "--die-with-parent")  # fmt: skip


@dataclass(frozen=True)
class Isolation:
    """Whether processes of users' code get walls: bubblewrap's path, or None; `why` says so in words."""

    program: str | None
    why: str

    @property
    def holds(self) -> bool:
        """Whether there are walls."""
        return self.program is not None


@dataclass(frozen=True)
class Sandbox:
    """What one process sees. Of places that lie in each other the inner one counts, whichever kind it is.

    `hidden` places look empty. Of the folder `copied` the process gets a copy of its own, at the same place.
    """

    program: str
    writable: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    copied: str | None = None
    network: bool = True
    cwd: str | None = None
    """The folder it starts in; None for the one that it would start in without walls."""

    @property
    def environ(self) -> dict[str, str]:
        """Environment variables that are otherwise inside."""
        return {"HOME": SCRATCH, "TMPDIR": SCRATCH, WALLED: "1"} | ({} if self.network else {ALONE: "1"})

    def around(self, argv: Sequence[str], *, cwd: str, scratch: str, copy: str = "") -> list[str]:
        """A command line inside the walls; `scratch` and the `copy` are folders made for this process."""
        words = [self.program, *_ALONE, *(() if self.network else ("--unshare-net",)), *_machine()]
        words += ["--bind", scratch, SCRATCH, "--bind", scratch, "/var/tmp"]
        for place, mount in sorted(self._mounts(copy), key=lambda m: len(Path(m[0]).parts)):
            words += [*mount, place]
        return [*words, "--chdir", self.cwd or cwd, "--", *argv]

    def _mounts(self, copy: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        yield from ((place, ("--ro-bind", place)) for place in (*_interpreter(), *self.readable))
        for place in self.hidden:
            if os.path.exists(place) and not any(place.startswith(f"{other}/") for other in self.hidden):
                yield place, ("--tmpfs",) if os.path.isdir(place) else ("--ro-bind", "/dev/null")
        for place in self.writable:
            yield place, ("--bind", place)
            if os.path.isdir(kept := f"{place}/.git"):  # a hook put there would run outside, as whoever works with it
                yield kept, ("--ro-bind", kept)
        if self.copied:
            yield self.copied, ("--bind", copy)


def isolation(wanted: str) -> Isolation:
    """What the setting `isolation` means on this machine: auto, bubblewrap or none.

    Raises InvalidInput for another word, and where bubblewrap is wanted and does not work.
    """
    if wanted not in ("auto", "bubblewrap", "none"):
        raise InvalidInput(f"the setting isolation is {wanted!r}; it is auto, bubblewrap or none")
    if wanted == "none":
        return Isolation(None, "none: the setting isolation switches it off")
    program, words = _works()
    if program is None and wanted == "bubblewrap":
        raise InvalidInput(f"the setting isolation is bubblewrap, and {words}")
    return Isolation(program, words if program else f"none: {words}")


@cache
def _works() -> tuple[str | None, str]:
    """(bubblewrap's path, which version it is), or (None, why there are no walls), by trying."""
    program = shutil.which(PROGRAM)
    if program is None:
        return None, f"there is no {PROGRAM} on the PATH: install the package bubblewrap"
    seen = [word for place in _interpreter() for word in ("--ro-bind", place, place)]
    words = [program, *_ALONE, "--unshare-net", *_machine(), *seen, "--", sys.executable, "-I", "-S", "-c", ""]
    try:
        tried = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"{program} does not start: {error}"
    if tried.returncode:
        said = (tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"])[-1]
        return None, f"{program} cannot make namespaces here ({said}): this machine or container must allow user namespaces"
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    return program, version.strip() or program


@cache
def _machine() -> tuple[str, ...]:
    """The system, read-only; a new /proc with what concerns the whole machine covered; the few devices everyone needs."""
    words: list[str] = []
    for place in (*_SYSTEM, *(f"/etc/{name}" for name in _ETC)):
        words += ["--ro-bind-try", place, place]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for name in _KERNEL:
        if os.path.lexists(place := f"/proc/{name}"):
            words += ["--ro-bind", place if os.path.isdir(place) else "/dev/null", place]
    for device in (found for pattern in _DEVICES for found in glob.glob(pattern)):
        words += ["--dev-bind", device, device]
    return tuple(words)


@cache
def _interpreter() -> tuple[str, ...]:
    """The folders of this Python and of what it imports, the outer ones first; not the folder a command was given in."""
    found = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, str(Path(sys.executable).resolve().parent)}
    for place in site.getsitepackages():
        for lines in Path(place).glob("*.pth"):
            found |= {line.strip() for line in lines.read_text(errors="replace").splitlines() if line.startswith("/")}
    for variable in ("PYTHONPATH", "LD_LIBRARY_PATH"):
        found |= {place for place in os.environ.get(variable, "").split(os.pathsep) if place.startswith("/")}
    if site.ENABLE_USER_SITE:
        found.add(site.getusersitepackages())
    kept = sorted((p for p in found if os.path.exists(p) and p != "/"), key=lambda p: len(Path(p).parts))
    system = tuple(f"{place}/" for place in _SYSTEM)
    return tuple(p for n, p in enumerate(kept) if not f"{p}/".startswith((*system, *(f"{q}/" for q in kept[:n]))))
