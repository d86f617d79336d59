"""HTTP over a Platform: our API, the UI, MLflow and the endpoints behind one port."""

from boathouse.server.serve import Server, free_port

__all__ = ["Server", "free_port"]
