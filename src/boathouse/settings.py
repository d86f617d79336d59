"""What can be set: flags over environment variables over `boathouse.toml` in the home over defaults."""

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path

from boathouse.clock import parse_span
from boathouse.errors import InvalidInput

MARK = "mark"
"""A file in the home that tells who owns it now."""
_SIZE = re.compile(r"(\d+)\s*([KMGT])I?B", re.IGNORECASE)
_POWERS = {"K": 10, "M": 20, "G": 30, "T": 40}
_OWN_STORAGE = re.compile(r"storage_(?!.*_(?:aws|azure|google)_)([A-Za-z]\w*?)(_role_arn)?")
"""Settings such as `storage_prod` and `storage_prod_role_arn` give an environment a store of its own."""


@dataclass(frozen=True)
class Settings:
    """Where the lakehouse lives and which environment is meant."""

    home: Path
    database_url: str
    storage: str
    online_store: str = "embedded"
    engine: str = "duckdb"
    url: str | None = None
    token: str | None = field(default=None, repr=False)
    env: str = "dev"
    token_lifetime: str = "90d"
    token_lifetime_max: str = "365d"
    session_lifetime: str = "7d"
    session_idle: str = "1d"
    password_length: str = "12"
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: str | None = field(default=None, repr=False)
    oidc_name: str = "single sign-on"
    oidc_scopes: str = "openid profile email"
    oidc_username_claim: str = "email"
    oidc_groups_claim: str = "groups"
    oidc_groups: str = ""
    oidc_create_users: str = "off"
    oidc_domains: str = ""
    memory_limit: str | None = None
    temp_directory: str | None = None
    sql_timeout: str = "5m"
    sql_memory: str = "4GB"
    sql_workers: str = "4"
    inference_log_sync: str = "off"
    endpoint_queue: str = "256"
    parallel_tasks: str = "8"
    address: str | None = None
    artifacts: str | None = None
    python_environments_kept: str = "30d"
    python_runtime: str = ""
    isolation: str = "auto"
    isolation_folders: str = ""
    autolog: str = "light"
    openlineage_url: str | None = None
    openlineage_token: str | None = field(default=None, repr=False)
    openlineage_namespace: str = "boathouse"
    webhook_private_addresses: str = "off"
    smtp_url: str | None = field(default=None, repr=False)
    smtp_from: str | None = None
    secrets_key: str | None = field(default=None, repr=False)
    storage_role_arn: str | None = None
    storage_credential_lifetime: str = "30m"
    storages: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Environment -> a store of its own."""
    storage_roles: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Environment -> the role of its store that callers get."""

    def path(self, *parts: str) -> Path:
        """A path inside the home."""
        return self.home.joinpath(*parts)

    @property
    def artifact_root(self) -> str:
        """Where the files of runs and models lie, as a URL."""
        given = self.artifacts or str(self.path("mlflow-artifacts"))
        return given.rstrip("/") if "://" in given else Path(given).expanduser().absolute().as_uri()

    @property
    def spill(self) -> Path:
        """Where queries of this process put what is too much for memory."""
        if self.temp_directory:
            return Path(self.temp_directory).expanduser()
        return self.path("tmp") if self.home.is_dir() else Path(tempfile.gettempdir())

    def span(self, name: str) -> timedelta:
        """A setting that is a length of time. Raises InvalidInput naming it."""
        try:
            return parse_span(getattr(self, name))
        except ValueError as error:
            raise InvalidInput(f"the setting {name}: {error}") from error

    def switch(self, name: str) -> bool:
        """A setting that is on or off. Raises InvalidInput naming it."""
        given = str(getattr(self, name)).lower()
        if given not in ("on", "off", "true", "false"):
            raise InvalidInput(f"the setting {name} is {given!r}; it is on or off")
        return given in ("on", "true")

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """A setting that is one of a few words. Raises InvalidInput naming it."""
        if (given := str(getattr(self, name)).lower()) not in allowed:
            raise InvalidInput(f"the setting {name} is {given!r}; it is {', '.join(allowed[:-1])} or {allowed[-1]}")
        return given

    def words(self, name: str) -> tuple[str, ...]:
        """A setting that is a list, with commas between."""
        return tuple(word.strip() for word in str(getattr(self, name)).split(",") if word.strip())

    def size(self, name: str) -> int:
        """A setting that is a number of bytes. Raises InvalidInput naming it."""
        try:
            return parse_size(getattr(self, name))
        except ValueError as error:
            raise InvalidInput(f"the setting {name}: {error}") from error

    def number(self, name: str, least: int = 0) -> int:
        """A setting that is a whole number. Raises InvalidInput naming it."""
        given = str(getattr(self, name))
        if not given.isdecimal() or int(given) < least:
            raise InvalidInput(f"the setting {name} is {given!r}; it is a whole number from {least} on")
        return int(given)


def parse_size(text: str) -> int:
    """`512MB` or `4GiB` in bytes; each step is 1,024. Raises ValueError."""
    found = _SIZE.fullmatch(str(text).strip())
    if not found:
        raise ValueError(f"{text!r} is no size; write for example 512MB or 4GB")
    return int(found[1]) << _POWERS[found[2].upper()]


_KEYS = tuple(f.name for f in fields(Settings) if f.name not in ("home", "storages", "storage_roles"))


def load(environ: Mapping[str, str] | None = None, **flags: str | None) -> Settings:
    """The settings in force.

    Raises InvalidInput when `boathouse.toml` holds an unknown key or is no TOML.
    """
    environ = os.environ if environ is None else environ
    home = Path(flags.get("home") or environ.get("BOATHOUSE_HOME") or "~/.boathouse").expanduser().absolute()
    kept = _from_file(home / "boathouse.toml")
    values: dict[str, str] = {
        "database_url": f"sqlite:///{home / 'boathouse.db'}",
        "storage": (home / "lake").as_uri(),
    }
    values |= kept
    values |= {k: v for k in _KEYS if (v := environ.get(f"BOATHOUSE_{k.upper()}"))}
    values |= {k: v for name, v in environ.items() if v and name.startswith("BOATHOUSE_STORAGE_")
               and _own_storage(k := name.removeprefix("BOATHOUSE_").lower())}  # fmt: skip
    values |= {k: v for k in _KEYS if (v := flags.get(k))}
    if values.get("url") != kept.get("url") and values.get("token") == kept.get("token"):
        values.pop("token", None)  # it is for the server that the file names, and no other shall see it
    own = {found: values.pop(k) for k in list(values) if (found := _own_storage(k))}
    storages = {found[1]: url for found, url in own.items() if not found[2]}
    roles = {found[1]: role for found, role in own.items() if found[2]}
    return Settings(home=home, storages=storages, storage_roles=roles, **values)


def _own_storage(key: str) -> re.Match[str] | None:
    return None if key in _KEYS else _OWN_STORAGE.fullmatch(key)


def _from_file(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        values = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{path} is not valid TOML: {error}") from error
    if unknown := {k for k in values if k not in _KEYS and not _own_storage(k)}:
        known = ", ".join((*_KEYS, "storage_<environment>"))
        raise InvalidInput(f"{path}: unknown setting {sorted(unknown)[0]!r}; the settings are {known}")
    return {key: str(value) for key, value in values.items()}


def keep(home: Path, **values: str | None) -> None:
    """Write settings into a home's `boathouse.toml`, or take out those that are None; its other lines stay as they are."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = home / "boathouse.toml"
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in lines if not re.match(rf"({'|'.join(values)})\s*=", line)]
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text("\n".join([*kept, *(f"{name} = {json.dumps(value)}" for name, value in values.items() if value)]) + "\n")
    fresh.replace(path)
