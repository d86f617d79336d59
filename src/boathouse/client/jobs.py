"""Jobs and their runs."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from boathouse.client.http import Http
from boathouse.errors import RunFailed

_DONE = ("SUCCESS", "FAILED", "CANCELED", "LOST")


class Jobs:
    """Jobs that are deployed in an environment."""

    def __init__(self, http: Http, environment: str, scratch: str | None = None, project: str | None = None) -> None:
        self._http = http
        self._project = project
        self._environment = environment
        self._scratch = scratch

    def deployed(self) -> Any:
        """Deployed jobs with schedule, trigger and last run."""
        return self._http.call("GET", "/api/v1/jobs", params={"environment": self._environment, "scratch": self._scratch})

    def submit(self, name: str, params: Mapping[str, Any] | None = None, task: str | None = None,
               project: str | None = None) -> str:  # fmt: skip
        """Start a job by its name, or by `project.name`; the run's id.

        Of several of the name the `project`'s; in a task, its own project's. Raises NotFound, Conflict, InvalidInput,
        NotReleased.
        """
        body = {"parameters": {k: str(v) for k, v in (params or {}).items()}, "task": task, "scratch": self._scratch,
                "project": project or self._project}  # fmt: skip
        return str(self._http.call("POST", f"/api/v1/jobs/{self._environment}/{name}/runs", body)["run_id"])

    def run(self, name: str, params: Mapping[str, Any] | None = None, task: str | None = None) -> Any:
        """Start a job and wait for its end; the run. Raises RunFailed with the failing task's last words."""
        run = self.wait(self.submit(name, params, task))
        if run["state"] != "SUCCESS":
            raise RunFailed(
                f"run {run['id']} of {name} in {self._environment}: {run['state']}: {run['reason']}\n{self.last_words(run)}"
            )
        return run

    def get(self, run_id: str) -> Any:
        """A run with its tasks."""
        return self._http.call("GET", f"/api/v1/runs/{run_id}")

    def wait(self, run_id: str, seconds: float = 7200) -> Any:
        """Block until a run ends, or so many seconds."""
        limit = time.monotonic() + seconds
        while (run := self.get(run_id))["state"] not in _DONE and time.monotonic() < limit:
            time.sleep(0.1)
        return run

    def log(self, run_id: str, task: str) -> str:
        """All that a task has written."""
        return self._http.text(f"/api/v1/runs/{run_id}/logs", {"task": task}).text

    def follow(self, run_id: str, offsets: Mapping[str, int] | None = None) -> Iterator[tuple[str, str]]:
        """(task, line) as they are written, until the run has ended; from `offsets` (task -> bytes) on, or all."""
        offsets = dict(offsets or {})
        done = False
        while True:
            run = self.get(run_id)
            for task in run["tasks"]:
                key = task["task_key"]
                text = self._http.text(f"/api/v1/runs/{run_id}/logs", {"task": key, "offset": offsets.get(key, 0)}).content
                whole = text if done else text[: text.rfind(b"\n") + 1]
                offsets[key] = offsets.get(key, 0) + len(whole)
                for line in whole.decode(errors="replace").splitlines():
                    yield key, line
            if done:
                return
            done = run["state"] in _DONE
            time.sleep(0 if done else 0.2)

    def written(self, run_id: str) -> dict[str, int]:
        """How many bytes each task of a run has written so far."""
        keys = [task["task_key"] for task in self.get(run_id)["tasks"]]
        return {key: len(self.log(run_id, key).encode()) for key in keys}

    def last_words(self, run: Mapping[str, Any], lines: int = 15) -> str:
        """The last lines of a failed run's failing tasks."""
        texts = [self.log(run["id"], t["task_key"]) for t in run["tasks"] if t["state"] in ("FAILED", "LOST")]
        return "\n".join("\n".join(text.rstrip().splitlines()[-lines:]) for text in texts)
