"""What cannot be right is refused with our shape of error, which says what is wrong, and never with 500."""

import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from boathouse.platform import Platform
from boathouse.server.app import create_app
from boathouse.server.body_limit import MOST_BYTES


@pytest.fixture(scope="module")
def client(platform: Platform, tokens: dict[str, str]) -> Iterator[TestClient]:
    header = {"Authorization": f"Bearer {tokens['admin']}", "Content-Type": "application/json"}
    app = create_app(platform)
    with TestClient(app, raise_server_exceptions=False, base_url="http://127.0.0.1", headers=header) as made:
        yield made


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/api/v1/sql", b"{bad", "the body is not JSON: Expecting property name"),
        ("/api/v1/sql", b"[]", "the body is a JSON object"),
        ("/api/v1/sql", b'{"query": 5}', "query: Input should be a valid string"),
        ("/api/v1/jobs/prod/load/runs", b'{"parametrs": {}}', "parametrs: Extra inputs are not permitted"),
    ],
)
def test_a_body_that_cannot_be_right_is_told_apart(client: TestClient, path: str, body: bytes, said: str) -> None:
    answer = client.post(path, content=body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error_code", "message", "details"}
    assert answer.json()["message"].startswith(said)


@pytest.mark.parametrize(
    "path",
    ["audit?limit=0", "audit?limit=10001", "deployments?limit=-1", "runs?state=FAILD", "lineage/prod.features.keyed?depth=0",
     "runs/0123456789abcdef/logs?task=load&offset=99999999999999999999"],
)  # fmt: skip
def test_a_parameter_out_of_bounds_is_refused(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_odd_names_and_characters_are_no_failure_of_the_server(client: TestClient) -> None:
    assert client.delete("/api/v1/tables/nope/refresh").status_code == 400
    assert client.get("/api/v1/models?search=nope%00").status_code == 200


def test_a_large_json_body_is_refused_before_anybody_is_asked_who_they_are(client: TestClient) -> None:
    def pieces() -> Iterator[bytes]:  # without a length: it is counted as it comes
        yield from (b"a" * 1024 * 1024 for _ in range(MOST_BYTES // 1024**2 + 1))

    answer = client.post("/api/v1/login/password", content=pieces(), headers={"Authorization": ""})
    assert (answer.status_code, answer.json()["error_code"]) == (413, "REQUEST_TOO_LARGE")


@pytest.mark.parametrize("name", ["..", ".git", "-x", "x%0a", "a'b", "x" * 300])
def test_a_project_whose_name_is_no_folder_of_its_own_is_refused(client: TestClient, name: str) -> None:
    answer = client.put(f"/api/v1/projects/{name.replace('..', '%2e%2e')}")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_NAME")


@pytest.mark.parametrize("path", ["events/99999999999999999999/redeliver", "incidents/99999999999999999999/acknowledge"])
def test_a_number_that_no_column_holds_is_refused(client: TestClient, path: str) -> None:
    answer = client.post(f"/api/v1/{path}")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_a_method_that_a_path_lacks_is_told_those_it_has(client: TestClient) -> None:
    answer = client.patch("/api/v1/whoami")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


def test_head_is_answered_wherever_get_is(client: TestClient) -> None:
    for path in ("/health", "/api/v1/whoami", "/api/openapi.json"):
        assert client.head(path).status_code == client.get(path).status_code == 200


def test_who_brings_no_identity_is_told_how_to_bring_one(client: TestClient) -> None:
    answer = client.get("/api/v1/whoami", headers={"Authorization": ""})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_the_description_says_how_a_route_refuses_and_what_it_wants_to_know_of_the_caller(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    assert document["components"]["securitySchemes"][next(iter(document["security"][0]))] == {"type": "http", "scheme": "bearer"}
    assert document["paths"]["/api/v1/login/password"]["post"]["security"] == []
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert all("default" in operation["responses"] and "422" not in operation["responses"] for operation in operations)


def test_each_protocol_refuses_in_the_shape_that_its_description_names(client: TestClient) -> None:
    paths, schemas = (document := client.get("/api/openapi.json").json())["paths"], document["components"]["schemas"]
    for path in ("/delta-sharing/shares", "/api/v1/tables/{name}", "/api/2.1/unity-catalog/tables/{full_name}"):
        told = paths[path]["get"]["responses"]["default"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        answer = client.get(re.sub(r"{\w+}", "prod.no.such", path), headers={"Authorization": "Bearer bh_wrong"})
        assert answer.status_code == 401
        assert set(schemas[told]["required"]) <= set(answer.json())


def test_every_instant_says_its_zone(client: TestClient) -> None:
    client.post("/api/v1/tokens", json={"comment": "zoned"})
    for token in client.get("/api/v1/tokens").json():
        assert token["created_at"].endswith("Z")
