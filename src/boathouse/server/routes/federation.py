"""Programs and people that others vouch for."""

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.identity import Workload
from boathouse.platform import WORKLOAD_LIFETIME
from boathouse.server.auth import Address, Caller, Served

router = APIRouter(prefix="/api/v1", tags=["login"])


class IdentityToken(BaseModel):
    """A workload's identity token; `principal` where it may stand for several."""

    token: str
    principal: str | None = None


class NewTrust(BaseModel):
    """Whose tokens shall stand for a service principal; `*` in the subject and in claims stands for any characters."""

    issuer: str
    audience: str
    subject: str
    claims: dict[str, str] = {}
    environment: str | None = None


class Subject(BaseModel):
    """Who a user is at the provider."""

    subject: str


@router.post("/login/oidc-token")
def exchange(body: IdentityToken, platform: Served, address: Address) -> dict[str, str | int]:
    """A token of an hour for a workload's identity token that a service principal trusts."""
    principal, token = platform.federation.exchange(body.token, body.principal, address)
    return {"principal": principal, "token": token, "expires_in": int(WORKLOAD_LIFETIME.total_seconds())}


@router.get("/principals/{name}/workloads")
def trusted(name: str, who: Caller, platform: Served) -> list[Workload]:
    """Whose tokens stand for a service principal; needs MANAGE on it."""
    return platform.federation.trusted(who, name)


@router.post("/principals/{name}/workloads")
def trust(name: str, body: NewTrust, who: Caller, platform: Served) -> Workload:
    """Let an issuer's tokens stand for a service principal; needs MANAGE on it."""
    return platform.federation.trust(who, name, body.issuer, body.audience, body.subject, claims=body.claims,
                                     environment=body.environment)  # fmt: skip


@router.delete("/principals/{name}/workloads/{rule_id}")
def distrust(name: str, rule_id: str, who: Caller, platform: Served) -> None:
    """Trust no more; needs MANAGE on the service principal."""
    platform.federation.distrust(who, name, rule_id)


@router.put("/users/{name}/subject")
def link(name: str, body: Subject, who: Caller, platform: Served) -> None:
    """Say which subject of the provider a user is; needs MANAGE on the metastore."""
    platform.federation.link(who, name, body.subject)


@router.delete("/users/{name}/subject")
def unlink(name: str, who: Caller, platform: Served) -> None:
    """Forget which subject a user is; needs MANAGE on the metastore."""
    platform.federation.unlink(who, name)
