"""Endpoints as people ask about them: shares, health and logs of their versions."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from boathouse import clock
from boathouse.delivery import Delivery, total
from boathouse.environments import Deployments, served_entities
from boathouse.errors import InvalidInput
from boathouse.names import parse
from boathouse.serving import Endpoints, EndpointState, ServedVersion

_HOUR = 3_600_000
_TAIL_BYTES = 4 << 20


class TrafficDesk:
    """Puts together what rooms know of an endpoint's traffic."""

    def __init__(self, deployments: Deployments, endpoints: Endpoints, delivery: Delivery, logs: Path) -> None:
        self._deployments = deployments
        self._endpoints = endpoints
        self._rollouts = delivery.rollouts
        self._logs = logs

    def served(self, state: EndpointState) -> list[dict[str, Any]]:
        """Each version with its share, and its health of the last hour, or since its rollout began."""
        rollout = self._rollouts.of(state.model)
        since = int(rollout.started_at.timestamp() * 1000) if rollout else clock.millis() - _HOUR
        readings = self._rollouts.readings(state.model, since, endpoint=state.name)

        def health(one: ServedVersion) -> Mapping[str, Any]:
            return total(r.health for r in readings if (r.version, r.role) == (one.version, one.role)).to_dict()

        return [{**one.__dict__, "health": health(one)} for one in state.served]

    def rollout(self, state: EndpointState) -> dict[str, Any] | None:
        """The rollout of the endpoint's model that goes on, or None."""
        return self._rollouts.told(state.model) if self._rollouts.of(state.model) else None

    def shares(self, environment: str, name: str) -> list[dict[str, Any]]:
        """Versions as the definition names them, with the percent it asks for and what serves now. Raises NotFound."""
        definition = self._deployments.resource("model_serving_endpoint", environment, name).definition
        states = [s for s in self._endpoints.states(environment) if s.name == name]
        now = {s["slot"]: s for s in (self.served(states[0]) if states else ())}
        entities = served_entities(environment, definition)
        rows = [{"name": e.name, "version": e.reference, "percent": e.percent} for e in entities]
        rows += [{"name": slot, "version": None, "percent": None} for slot in now if all(e.name != slot for e in entities)]
        return [row | _now(now.get(str(row["name"]))) for row in rows]

    def definition(self, environment: str, name: str, shares: Mapping[str, int]) -> dict[str, Any]:
        """The definition of an endpoint with other shares. Raises NotFound, InvalidInput unless they make 100."""
        if (whole := sum(shares.values())) != 100:
            raise InvalidInput(f"shares make 100 percent, and {', '.join(f'{k}={v}' for k, v in shares.items())} make {whole}")
        former = self._deployments.resource("model_serving_endpoint", environment, name).definition
        model = str(parse(served_entities(environment, former)[0].model))
        config = {
            **(former.get("config") or {}),
            "served_entities": [{"name": _word(v), "entity_name": model, "entity_version": v} for v in shares],
            "traffic_config": {"routes": [{"served_entity_name": _word(v), "traffic_percentage": p} for v, p in shares.items()]},
        }
        return {**former, "config": config}

    def log(self, environment: str, name: str, limit: int) -> list[str]:
        """The last lines of an endpoint's model servers. Raises NotFound."""
        self._deployments.resource("model_serving_endpoint", environment, name)
        return list(_tail(self._logs / f"{environment}.{name}.log", limit))


def _now(served: Mapping[str, Any] | None) -> dict[str, Any]:
    if served is None:
        return {"serves": None, "gets": None, "state": None, "health": None}
    return {"serves": served["version"], "gets": served["percent"], "state": served["state"], "health": served["health"]}


def _word(version: str) -> str:
    return version.removeprefix("@")


def _tail(path: Path, limit: int) -> Iterator[str]:
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        yield from file.read().decode(errors="replace").splitlines()[-limit:]
