"""What can be set: flags over environment variables over `boathouse.toml` in the home over defaults."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boathouse.errors import InvalidInput

_KEYS = ("database_url", "storage", "online_store", "engine", "url", "token", "env")


@dataclass(frozen=True)
class Settings:
    """Where the lakehouse lives and which environment is meant."""

    home: Path
    database_url: str
    storage: str
    online_store: str = "embedded"
    engine: str = "duckdb"
    url: str | None = None
    token: str | None = None
    env: str = "dev"

    def path(self, *parts: str) -> Path:
        """A path inside the home."""
        return self.home.joinpath(*parts)


def load(environ: Mapping[str, str] | None = None, **flags: str | None) -> Settings:
    """The settings in force.

    Raises InvalidInput when `boathouse.toml` holds an unknown key or is no TOML.
    """
    environ = os.environ if environ is None else environ
    home = Path(flags.get("home") or environ.get("BOATHOUSE_HOME") or "~/.boathouse").expanduser().absolute()
    values: dict[str, str] = {
        "database_url": f"sqlite:///{home / 'boathouse.db'}",
        "storage": f"file://{home / 'lake'}",
    }
    values |= _from_file(home / "boathouse.toml")
    values |= {k: v for k in _KEYS if (v := environ.get(f"BOATHOUSE_{k.upper()}"))}
    values |= {k: v for k in _KEYS if (v := flags.get(k))}
    return Settings(home=home, **values)


def _from_file(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        values = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{path} is not valid TOML: {error}") from error
    if unknown := set(values) - set(_KEYS):
        raise InvalidInput(f"{path}: unknown setting {sorted(unknown)[0]!r}; the settings are {', '.join(_KEYS)}")
    return {key: str(value) for key, value in values.items()}
