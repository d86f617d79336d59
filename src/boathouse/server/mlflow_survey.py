"""Makes the table of MLflow's routes: `python -m boathouse.server.mlflow_survey` after MLflow was updated.

What no rule below knows is `refused`, so a route that a new MLflow adds stays shut until someone judged it.
"""

# mypy: allow-untyped-calls
import re
from collections import defaultdict
from pathlib import Path

from boathouse.registry import quietly

Row = tuple[str, str, str]
"""(kind, path, methods): methods parted by spaces, `/ajax-api` written as `/api`, parameters as `<name>`."""

_TRACKING = r"/api/[23]\.0/mlflow"
_RULES: tuple[tuple[str, str, str], ...] = (
    (r"^/api/2\.0/mlflow/gateway-proxy$|/scorers/list$", "GET", "empty"),  # MLflow's pages ask, and complain of a 404
    # language models' machinery, MLflow's own jobs and webhooks, and what other parts of Boathouse do
    (r"/(gateway|webhooks|workspaces|scorers?|jobs|demo|assistant|mcp-servers|genai|issues)\b", ".*", "refused"),
    (r"/(review-queues|label-schemas|prompt-optimization|create-promptlab-run|ui-telemetry|upload-artifact)\b", ".*", "refused"),
    (r"^/api/2\.0mlflow|/(get-online-trace-details|unified-traces|presigned-(up|down)load-url)$|^/build/", ".*", "refused"),
    (r"^/(version|health)$|^/static-files/", "GET", "open"),
    (r"^/$", "GET", "page"),
    (r"^(/api/2\.0/mlflow)?/(registered-models|model-versions)/", ".*", "registry"),
    (r"^/api/2\.0/mlflow-artifacts/(artifacts|presigned)", "GET", "files"),
    (r"^/api/2\.0/mlflow-artifacts/(artifacts|mpu)/", "PUT|POST|DELETE", "files-write"),
    (r"^/graphql$", "GET", "refused"),  # it reads a body that a GET does not have, and fails
    (r"^/graphql$|/server-info$|^/get-artifact$", ".*", "read"),
    (r"/(search|search-datasets|batchGetInfos|metrics|calculate-filter-correlation)$", "POST", "read"),
    (rf"^{_TRACKING}/(experiments|runs|artifacts|metrics|logged-models|traces|datasets|get-trace-artifact)\b", "GET", "read"),
    (rf"^{_TRACKING}/(experiments|runs|logged-models|traces|datasets)\b|^/v1/traces$", "POST|PUT|PATCH|DELETE", "write"),
)  # fmt: skip


def survey() -> list[Row]:
    """The routes of the installed MLflow, each with the kind of access it needs."""
    with quietly():
        from mlflow.server import app as flask_app
        from mlflow.server.fastapi_app import create_fastapi_app

        found = {(rule.rule, method) for rule in flask_app.url_map.iter_rules() for method in rule.methods or ()}
        for path, operations in create_fastapi_app().openapi()["paths"].items():
            found |= {(path.replace("{", "<").replace("}", ">"), method.upper()) for method in operations}
    together: dict[tuple[str, str], set[str]] = defaultdict(set)
    for raw, method in found:
        path = re.sub(r"^/ajax-api/", "/api/", raw).replace("<artifact_path>", "<path:artifact_path>")
        if method not in ("HEAD", "OPTIONS"):
            together[kind(path, method), path].add(method)
    return sorted((kind, path, " ".join(sorted(methods))) for (kind, path), methods in together.items())


def kind(path: str, method: str) -> str:
    """What a route needs; `refused` where nobody judged it."""
    for pattern, methods, found in _RULES:
        if re.search(pattern, path) and re.fullmatch(methods, method):
            return found
    return "refused"


def render(rows: list[Row], version: str) -> str:
    """The table as a module."""
    lines = [f'    ("{kind}", "{path}", "{methods}"),' for kind, path, methods in rows]
    title = f'"""The routes of MLflow {version} and what each needs; written by `mlflow_survey`, not by hand."""'
    return "\n".join([title, "", "ROUTES: tuple[tuple[str, str, str], ...] = (", *lines, ")", ""])


def main() -> None:
    """Write the table."""
    from mlflow.version import VERSION

    Path(__file__).with_name("mlflow_routes.py").write_text(render(survey(), VERSION))


if __name__ == "__main__":
    main()
