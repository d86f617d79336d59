"""Where tables and files lie: a folder on this machine or a prefix of an object store, with what opens it."""

import contextlib
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from boathouse.errors import InvalidInput, Unavailable

_CLIENT_KEYS = ("allow_http", "allow_invalid_certificates", "connect_timeout", "timeout", "proxy_url")
_MOST_WORDS = 600
_SCHEMES = ("file", "s3", "abfss", "gs")
_IMPATIENT: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=15)}


@dataclass(frozen=True)
class Storage:
    """A place, and the options that open it, with object_store's keys (`AWS_ACCESS_KEY_ID`, `AWS_REGION`, …).

    Options may hold secrets: they are never shown, and never leave the server except as scoped credentials.
    """

    url: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    def child(self, *parts: str) -> "Storage":
        """A place below. Raises InvalidInput for a part that could lead elsewhere."""
        for part in parts:
            if part in ("", ".", "..") or "/" in part or "\\" in part:
                raise InvalidInput(f"{part!r} is no name of a folder or file below {self.url}")
        return Storage("/".join([self.url, *parts]), self.options)

    @property
    def local(self) -> Path | None:
        """The folder on this machine's disk; None for an object store."""
        return local_path(self.url)

    def store(self, *, retry: Any = None) -> ObjectStore:
        """An obstore store rooted here; on a disk the folder is made. Raises InvalidInput, Unavailable."""
        try:
            if (path := self.local) is not None:
                return LocalStore(path, mkdir=True)
            opening: Any = dict(zip(("config", "client_options"), split(self.options), strict=True))
            store: ObjectStore = from_url(self.url, retry_config=retry, **opening)
            return store
        except BaseError as error:
            raise InvalidInput(f"the storage {self.url} cannot be used: {store_trouble(error)}") from error
        except OSError as error:
            raise Unavailable(f"the storage {self.url} cannot be opened: {error.strerror}") from error

    def check(self) -> None:
        """Raises Unavailable where nothing can be written, or where two writers could overwrite each other."""
        store, probe = self.store(retry=_IMPATIENT), f".probe-{uuid.uuid4().hex}"
        try:
            obstore.put(store, probe, b"probe", mode="create")
            with contextlib.suppress(AlreadyExistsError):
                obstore.put(store, probe, b"probe", mode="create")
                raise Unavailable(
                    f"the storage {self.url} ignores conditional puts, so that two writers would overwrite each other's "
                    "commits: use a store that honours If-None-Match"
                )
        except (BaseError, OSError) as error:
            raise Unavailable(f"the storage {self.url} cannot be written: {store_trouble(error)}") from error
        finally:
            with contextlib.suppress(BaseError, OSError):
                obstore.delete(store, probe)

    def check_readable(self) -> None:
        """Raises Unavailable where nothing can be listed."""
        if self.local and not self.local.is_dir():
            raise Unavailable(f"{self.url} is no folder on this machine; make it first")
        try:
            next(iter(obstore.list(self.store(retry=_IMPATIENT), chunk_size=1)), None)
        except (BaseError, OSError) as error:
            raise Unavailable(f"{self.url} cannot be read: {store_trouble(error)}") from error

    def holds_anything(self, below: str | None = None) -> bool:
        """Whether any file lies here, or below a folder of this place."""
        return any(page for page in obstore.list(self.store(), prefix=below, chunk_size=1))

    def remove(self) -> None:
        """Delete all that lies below; a table's log first, so that what is left after a crash is no table."""
        if path := self.local:
            shutil.rmtree(path, ignore_errors=True)
            return
        store = self.store()
        found = [meta["path"] for page in obstore.list(store) for meta in page]
        found.sort(key=lambda path: not path.startswith("_delta_log/"))
        for start in range(0, len(found), 1000):
            obstore.delete(store, found[start : start + 1000])


def storage_at(location: str, options: Mapping[str, str] | None = None) -> Storage:
    """A place as settings write it: a URL, or a path on this machine. Raises InvalidInput."""
    parts = urlparse(location)
    if parts.scheme in ("", "file"):
        path = Path(unquote(parts.path) if parts.scheme else location).expanduser()
        if not path.is_absolute():
            raise InvalidInput(f"the storage {location} must be an absolute path or a URL ({', '.join(_SCHEMES)})")
        if "%" in str(path):
            raise InvalidInput(f"the storage {path} has a % in its path, which Delta tables cannot have")
        return Storage(path.as_uri())
    if parts.scheme not in _SCHEMES or not parts.netloc or parts.query or parts.fragment:
        raise InvalidInput(f"the storage {location} is no URL of the kinds known here: {', '.join(_SCHEMES)}")
    return Storage(location.rstrip("/"), dict(options or {}))


def local_path(location: str) -> Path | None:
    """The folder on this machine that a location means; None for an object store."""
    parts = urlparse(location)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None


def split(options: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Options as (the store's, the HTTP client's): obstore takes them apart, delta-rs together."""
    config, client = {}, {}
    for key, value in options.items():
        bare = key.lower().removeprefix("aws_").removeprefix("azure_").removeprefix("google_")
        if bare in _CLIENT_KEYS:
            client[bare] = value.lower() == "true" if bare.startswith("allow") else value
        else:
            config[key.lower()] = value
    return config, client


def store_trouble(error: BaseException) -> str:
    """What a store or the way to it has against a request, in one line, and what to do about it."""
    words = str(error)
    told = re.sub(r"\x1b\[\d*m|↳", "", words.partition("\n\nDebug source:")[0])
    said = ": ".join(line.strip() for line in told.splitlines() if line.strip())[:_MOST_WORDS]
    return next((f"{advice} ({said})" for sign, advice in _ADVICE.items() if sign in words), said)


_ADVICE = {
    "RequestTimeTooSkewed": "this machine's clock differs from the store's; set it right, for example with NTP",
    "InvalidAccessKeyId": "the store does not know the access key; check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key does not fit the access key; check AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "the session token has expired; get new credentials",
    "NoSuchBucket": "there is no such bucket; make it, or correct the URL",
    "AccessDenied": "the credentials may not write here; they need Get, Put, Delete and List on this prefix",
    "error sending request": "nothing answers at the endpoint; check AWS_ENDPOINT_URL and the network",
    "169.254.169.254": "no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
}
