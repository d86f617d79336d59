"""Monitors and alerts as people and rooms ask for them."""

from typing import Any

from boathouse import clock
from boathouse.alerts import Alerts, Incident
from boathouse.environments import Deployments, service_identity
from boathouse.events import Event
from boathouse.identity import Identities
from boathouse.monitoring import completed, parse_granularity
from boathouse.platform.inference import InferenceFlush
from boathouse.platform.job_desk import JobDesk


class MonitorDesk:
    """Monitors with what they need of other rooms, their refreshes, and what an alert starts."""

    def __init__(self, deployments: Deployments, alerts: Alerts, jobs: JobDesk, inference: InferenceFlush,
                 identities: Identities) -> None:  # fmt: skip
        self._deployments = deployments
        self._alerts = alerts
        self._jobs = jobs
        self._inference = inference
        self._identities = identities

    def get(self, environment: str, name: str) -> dict[str, Any]:
        """A monitor, completed by its project's models, with its alerts."""
        resource = self._deployments.resource("quality_monitor", environment, name)
        models = {m.key: m.definition for m in self._deployments.resources("registered_model", environment, resource.project)}
        alerts = [{"name": a.name, "definition": a.definition}
                  for a in self._deployments.resources("alert", environment, resource.project)
                  if a.definition["monitor"] == name]  # fmt: skip
        return {"name": name, "monitor": completed(resource.definition, models), "alerts": alerts}

    def refresh(self, environment: str, name: str, as_of: str = "", trigger: str = "manual") -> str:
        """Start a refresh of a monitor; the run's id. Raises NotFound."""
        self._deployments.resource("quality_monitor", environment, name)
        for endpoint in self._deployments.resources("model_serving_endpoint", environment):
            self._inference.flush(environment, endpoint.name)
        arguments = [name, as_of] if as_of else [name]
        return self._jobs.submit_builtin(environment, "refresh-monitor", arguments, label=f"monitor-{name}", trigger=trigger)

    def answer(self, event: Event) -> None:
        """Start the job that an alert names; delivered twice, it still starts once."""
        environment, _, name = event.subject.partition(".")
        alert = self._deployments.resource("alert", environment, name)
        definition = alert.definition
        incident = self._alerts.incident(int(event.data["incident"]))
        if not definition.get("run_job") or incident.run_id:
            return
        given, end = definition.get("params") or {}, _window_end(incident)
        parameters = {k: str(v).replace("{{alert.window_end}}", end) for k, v in given.items()}
        run_id = self._jobs.submit(service_identity(self._identities, environment), environment, definition["run_job"],
                                 parameters=parameters, trigger=f"alert {name}", project=alert.project)  # fmt: skip
        self._alerts.answered_by(incident.id, run_id)


def _window_end(incident: Incident) -> str:
    """The end of the newest window that an alert fired for: what a retraining in simulated time is as of."""
    newest = [w for w in incident.windows if w["violated"]][-1]
    granularity = parse_granularity(newest.get("granularity") or "1 week")
    return granularity.end(clock.parse_instant(newest["start"])).isoformat()
