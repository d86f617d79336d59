"""Each environment's storage, out of the settings and the server's environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from urllib.parse import urlparse

from boathouse.errors import InvalidInput
from boathouse.lake.location import overlap
from boathouse.lake.storage import Storage, storage_at
from boathouse.lake.sts import assume

_VARIABLES = {
    "s3": (
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS", "AWS_ALLOW_HTTP", "AWS_CONDITIONAL_PUT",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_METADATA_ENDPOINT",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_SERVER_SIDE_ENCRYPTION", "AWS_SSE_KMS_KEY_ID",
        "AWS_SSE_BUCKET_KEY_ENABLED", "AWS_REQUEST_PAYER",
    ),
    "abfss": (
        "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CLIENT_ID",
        "AZURE_STORAGE_CLIENT_SECRET", "AZURE_STORAGE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_STORAGE_ENDPOINT",
        "AZURE_STORAGE_USE_EMULATOR", "AZURE_ALLOW_HTTP",
    ),
    "gs": ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS"),
}  # fmt: skip
_SYNONYMS = {"AWS_DEFAULT_REGION": "AWS_REGION", "AWS_ENDPOINT_URL_S3": "AWS_ENDPOINT_URL"}
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True)
class Storages:
    """A store for all, with a folder for each environment, stores of their own for some, and what opens places elsewhere.

    `roles` are by environment, and `role` is for those without one of their own: what callers get on S3,
    held to what they may reach. `elsewhere` holds options by scheme of URL.
    """

    default: Storage
    own: Mapping[str, Storage] = field(default_factory=dict, hash=False)
    role: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict, hash=False)
    elsewhere: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False, hash=False)

    def of(self, environment: str) -> Storage:
        """Where an environment's tables and files lie."""
        return self.own.get(environment) or self.default.child(environment)

    def at(self, environment: str, url: str) -> Storage:
        """A place with what opens it for an environment, in its own store or outside."""
        mine, scheme = self.own.get(environment, self.default), urlparse(url).scheme
        return Storage(url, mine.options if urlparse(mine.url).scheme == scheme else self.elsewhere.get(scheme, {}))

    def role_for(self, environment: str, place: Storage) -> str | None:
        """The role that opens a place to callers; None where its store has no STS."""
        return self.roles.get(environment, self.role) if place.url.startswith("s3:") else None

    def check(self, lifetime: timedelta) -> None:
        """Whether each store can be written, and gives credentials where it has a role.

        Raises Unavailable naming the store, MissingExtra, and InvalidInput for a lifetime that STS does not know.
        """
        for environment, place in [("", self.default), *self.own.items()]:
            place.check()
            if role := self.role_for(environment, place):
                if not timedelta(minutes=15) <= lifetime <= timedelta(hours=12):
                    raise InvalidInput(f"the setting storage_credential_lifetime is {lifetime}: say 15m to 12h")
                assume(place, role, "boathouse-check", lifetime, write=False)

    def roots(self) -> list[Storage]:
        """Every place that belongs to the lakehouse."""
        return [self.default, *self.own.values()]


def storages(default: str, own: Mapping[str, str], environ: Mapping[str, str],
             role: str | None = None, roles: Mapping[str, str] = MappingProxyType({})) -> Storages:  # fmt: skip
    """The storages that settings name, opened by `environ`.

    `AWS_…`, `AZURE_…` and `GOOGLE_…` variables open every store; `BOATHOUSE_STORAGE_PROD_AWS_…` prod's own alone.
    Raises InvalidInput for a URL that is no storage, and when two stores overlap.
    """
    found = Storages(
        storage_at(default, _options(default, environ)),
        {name: storage_at(url, _options(url, environ, name)) for name, url in own.items()},
        role, dict(roles), {scheme: _options(f"{scheme}:", environ) for scheme in _VARIABLES},
    )  # fmt: skip
    roots = found.roots()
    for index, root in enumerate(roots):
        for other in roots[:index]:
            if overlap(root.url, other.url):
                raise InvalidInput(f"the storages {other.url} and {root.url} overlap; give each environment its own")
    return found


def _options(url: str, environ: Mapping[str, str], environment: str | None = None) -> dict[str, str]:
    known = _VARIABLES.get(urlparse(url).scheme, ())
    found = {k: v for k in known if (v := environ.get(k))}
    prefix = f"BOATHOUSE_STORAGE_{environment.upper()}_" if environment else None
    if prefix and (own := {k: v for k in known if (v := environ.get(prefix + k))}):
        if "AWS_ACCESS_KEY_ID" in own:  # a key of its own never goes with another's secret or session
            found = {k: v for k, v in found.items() if k not in _KEYS}
        found |= own
    for other, name in _SYNONYMS.items():
        if value := found.pop(other, None):
            found.setdefault(name, value)
    for endpoint, allowed in (("AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP"), ("AZURE_STORAGE_ENDPOINT", "AZURE_ALLOW_HTTP")):
        if found.get(endpoint, "").startswith("http://"):
            found.setdefault(allowed, "true")
    return found
