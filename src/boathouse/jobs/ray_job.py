"""Carries one attempt of a task to a Ray cluster and follows it. Runs alone: `python -I ray_job.py follow`, `stop`, `undo`.

It speaks Ray's Jobs API, says what the task says there, and ends as the task ended. The attempt's own name is the submission
id, so that whoever comes second finds the job that the first one submitted. What to do stands in BOATHOUSE_RAY, as JSON.
"""

import io
import json
import os
import secrets
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
LARGEST_PACKAGE = 100 << 20
"""What Ray's head keeps of one package, in bytes."""
_PATIENCE = 600.0
_STOP_PATIENCE = 60.0
_GAVE_UP = 75
_PAUSE = 0.5
_SLOWEST = 15.0
_BYTES_PER_SECOND = 500_000
"""Ray gives out a job's log whole: it is asked for less often as it grows."""
_NOT_CODE = frozenset({".git", ".venv", "__pycache__", "node_modules", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
_LOST = ("JOB_SUPERVISOR_ACTOR_DIED", "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE")
Spec = dict[str, Any]


class GivenUp(Exception):
    """It cannot go on; `state` and the words say how the attempt ended."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state = state


class Cluster:
    """The Jobs API of one cluster, which may be away for a while."""

    def __init__(self, spec: Spec, patience: float) -> None:
        self.address = spec["address"].rstrip("/")
        bearer = {"Authorization": f"Bearer {spec['token']}"} if spec.get("token") else {}
        self._http = httpx.Client(base_url=self.address, headers=bearer, timeout=60, trust_env=False)
        self._patience = patience

    def ask(self, method: str, path: str, **words: Any) -> httpx.Response:
        """An answer, whichever it is. Raises GivenUp where none came for long, or we may not ask."""
        limit, told = time.monotonic() + self._patience, False
        while True:
            try:
                answer = self._http.request(method, path, **words)
            except httpx.TransportError as error:
                why = f"{type(error).__name__} {error}".strip()
                if time.monotonic() >= limit:
                    raise GivenUp("LOST", f"the Ray cluster at {self.address} has not answered for "
                                  f"{self._patience:.0f} s: {why}") from error  # fmt: skip
                if not told:
                    print(f"the Ray cluster at {self.address} does not answer ({why}); it is asked again and again", flush=True)
                told = True
                time.sleep(2)
                continue
            if answer.status_code in (401, 403):
                raise GivenUp("FAILED", f"the Ray cluster at {self.address} answered {answer.status_code}: "
                              "its compute needs the cluster's `token`")  # fmt: skip
            return answer

    def job(self, name: str) -> dict[str, Any] | None:
        """A job by its submission id, as Ray tells it."""
        answer = self.ask("GET", f"/api/jobs/{name}")
        if answer.status_code == 404:
            return None
        found: dict[str, Any] = self._good(answer, "told nothing of its job").json()
        return found

    def log(self, name: str) -> str | None:
        """All that a job has said; None while Ray cannot tell."""
        answer = self.ask("GET", f"/api/jobs/{name}/logs")
        return str(answer.json().get("logs") or "") if answer.status_code == 200 else None

    def upload(self, package: bytes) -> str:
        """Give the cluster a package under a name that nobody guesses; where it is."""
        if len(package) > LARGEST_PACKAGE:
            raise GivenUp("FAILED", f"the project's code is {len(package) >> 20} MB, packed, and a Ray cluster takes "
                          f"{LARGEST_PACKAGE >> 20}: keep data out of it")  # fmt: skip
        name = f"_ray_pkg_{secrets.token_hex(16)}.zip"
        self._good(self.ask("PUT", f"/api/packages/gcs/{name}", content=package), "did not take the code")
        return f"gcs://{name}"

    def submit(self, body: dict[str, Any]) -> None:
        """Submit a job, once: where it is there already nothing happens."""
        for wait in (1.0, 3.0, 10.0, None):
            answer = self.ask("POST", "/api/jobs/", json=body)
            if answer.status_code == 200 or self.job(body["submission_id"]):
                return
            if wait is None or answer.status_code < 500:
                self._good(answer, "did not take the job")
            time.sleep(wait or 0)

    def stop(self, name: str) -> None:
        """Have a job stopped."""
        self.ask("POST", f"/api/jobs/{name}/stop")

    def _good(self, answer: httpx.Response, otherwise: str) -> httpx.Response:
        if answer.status_code == 200:
            return answer
        words = answer.text.strip().rstrip(".").splitlines() or [""]
        raise GivenUp("FAILED", f"the Ray cluster at {self.address} {otherwise}: {answer.status_code} {words[-1][:300]}")


def follow(spec: Spec, token: str, tell: Callable[[str, str], None]) -> int:
    """Submit the attempt's job unless it is there, say what it says until it ends; its exit code."""
    cluster = Cluster(spec, _PATIENCE)
    if cluster.job(spec["id"]) is None:
        _submit(cluster, spec, token)
    said = 0
    while True:
        job = cluster.job(spec["id"])
        if job is None:
            raise GivenUp("LOST", f"the Ray cluster at {cluster.address} knows {spec['id']} no more: its head is a new one")
        log = cluster.log(spec["id"])
        if log is not None and len(log) > said:
            print(log[said:], end="", flush=True)
            said = len(log)
        if job["status"] in ENDED:
            return _left(job, tell)
        time.sleep(min(_SLOWEST, _PAUSE + said / _BYTES_PER_SECOND))


def stop(spec: Spec, tell: Callable[[str, str], None]) -> int:
    """Have the attempt's job stopped, if it is there, and wait for that."""
    cluster = Cluster(spec, _STOP_PATIENCE)
    limit = time.monotonic() + _STOP_PATIENCE
    asked = False
    while (job := cluster.job(spec["id"])) and job["status"] not in ENDED and time.monotonic() < limit:
        if not asked:
            cluster.stop(spec["id"])
        asked = True
        time.sleep(0.3)
    if job and job["status"] not in ENDED:
        print(f"the Ray job {spec['id']} was told to stop and has not", flush=True)
    if job is None or job["status"] != "SUCCEEDED":
        tell("CANCELED", "stopped")
    return 0


def _submit(cluster: Cluster, spec: Spec, token: str) -> None:
    print(f"carrying the task to the Ray cluster at {cluster.address} as {spec['id']}", flush=True)
    wanted = _packages(spec)
    handed = {"argv": spec["argv"], "env": spec["env"], "token": token}
    code = {"working_dir": cluster.upload(packed(Path(spec["source"]))), "py_modules": [cluster.upload(_client(spec, handed))]}
    cluster.submit({
        "submission_id": spec["id"], "entrypoint": "python -P -m boathouse_on_ray", "metadata": spec["metadata"],
        "runtime_env": {**code, **({"uv": {"packages": wanted}} if wanted else {})}, **spec["resources"],
    })  # fmt: skip


def _packages(spec: Spec) -> list[str]:
    """What the cluster is to install: the pinned packages of the environment that the task would have here."""
    listed = Path(spec["listed"]).read_text().splitlines() if spec.get("listed") else spec.get("packages") or []
    found = [line.strip() for line in listed if line.strip() and not line.startswith(("#", "-"))]
    for line in found:
        if "file:" in line:
            raise GivenUp("FAILED", f"a Ray cluster cannot install {line.split()[0]}: it is a file of this machine. "
                          "Have it where the cluster's index finds it, or in its image, with `packages: cluster`")  # fmt: skip
    return found


def packed(folder: Path) -> bytes:
    """The code of a folder as a zip: what Git knows or would take, where it is a working tree."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in _files(folder):
            if (file := folder / name).is_file():
                archive.writestr(_entry(name, file.stat().st_mode), file.read_bytes())
    return made.getvalue()


def _files(folder: Path) -> Iterator[str]:
    told = subprocess.run(
        ["git", "-c", "core.fsmonitor=false", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    if told.returncode == 0 and told.stdout:
        yield from dict.fromkeys(told.stdout.decode().strip("\0").split("\0"))
        return
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - _NOT_CODE)
        yield from (str((Path(place) / name).relative_to(folder)) for name in sorted(files))


def _client(spec: Spec, handed: dict[str, Any]) -> bytes:
    """This package as the server has it, what starts the task there, and what that is told."""
    package, made = Path(spec["client"]), io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(package.rglob("*")):
            within = file.relative_to(package)
            if file.is_file() and not {"__pycache__", "templates", "static"} & set(within.parts):
                archive.writestr(_entry(f"boathouse/{within}", 0o644), file.read_bytes())
        archive.writestr(_entry("boathouse_on_ray.py", 0o644), Path(__file__).with_name("ray_start.py").read_bytes())
        archive.writestr(_entry("boathouse_handed.json", 0o600), json.dumps(handed))
    return made.getvalue()


def _entry(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.external_attr = (mode & 0o777) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _left(job: dict[str, Any], tell: Callable[[str, str], None]) -> int:
    """How a job ended, as an exit code, and in words where the code does not say it."""
    status, kind, code = job["status"], job.get("error_type"), job.get("driver_exit_code")
    words = " ".join(str(job.get("message") or "").split())[:500]
    if status == "SUCCEEDED":
        return 0
    if status == "STOPPED":
        tell("CANCELED", "it was stopped on the Ray cluster")
        return 1
    if kind == "JOB_ENTRYPOINT_COMMAND_ERROR" and code is not None:
        return int(code)
    if kind in _LOST:
        tell("LOST", f"the node of the Ray cluster that it ran on is gone: {words}")
    elif kind == "RUNTIME_ENV_SETUP_FAILURE":
        print(job.get("message"), flush=True)
        tell("FAILED", "its environment could not be made on the Ray cluster; the log has the words")
    else:
        tell("FAILED", f"the Ray cluster could not run it: {words}")
    return 1


def main(what: str) -> int:
    """Do it; the exit code."""
    spec = json.loads(os.environ["BOATHOUSE_RAY"])
    with os.fdopen(int(os.environ["BOATHOUSE_TOKEN_FD"])) as pipe:
        token = pipe.read()

    def tell(state: str, reason: str) -> None:
        note = Path(spec["folder"]) / "told.json"
        note.with_suffix(".new").write_text(json.dumps({"state": state, "reason": reason}))
        note.with_suffix(".new").replace(note)

    try:
        if what == "follow":
            return follow(spec, token, tell)
        return stop(spec, tell if what == "stop" else _keep_quiet)
    except GivenUp as end:
        print(end, flush=True)
        tell(end.state, str(end))
        return _GAVE_UP


def _keep_quiet(_state: str, _reason: str) -> None:
    """What is undone has told already how it ended."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
