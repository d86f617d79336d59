"""Credentials of one's own for a caller: a role, assumed for minutes, that reaches one table's files."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from boathouse.errors import MissingExtra, Unavailable
from boathouse.lake.policy import session_policy
from boathouse.lake.storage import Storage

_OPEN = (
    "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "AWS_CONDITIONAL_PUT",
    "AWS_SERVER_SIDE_ENCRYPTION", "AWS_SSE_KMS_KEY_ID", "AWS_SSE_BUCKET_KEY_ENABLED", "AWS_REQUEST_PAYER",
)  # fmt: skip
"""Options that are no secret: a caller needs them to find the store."""


@dataclass(frozen=True)
class Credentials:
    """What opens one place until a moment, with object_store's keys."""

    options: Mapping[str, str] = field(repr=False)
    expires_at: datetime


def assume(place: Storage, role: str, session: str, lifetime: timedelta, write: bool) -> Credentials:
    """The role, held to a place's prefix; `session` names it in the store's own log.

    Raises Unavailable when the store refuses or does not answer, MissingExtra without boto3.
    """
    options = place.options
    try:
        answer = _client(options).assume_role(
            RoleArn=role, RoleSessionName=_session_name(session), DurationSeconds=int(lifetime.total_seconds()),
            Policy=json.dumps(session_policy(place, write), separators=(",", ":")),
        )["Credentials"]  # fmt: skip
    except MissingExtra:
        raise
    except Exception as error:  # botocore raises classes that it makes at run time
        raise Unavailable(
            f"the store gave no credentials for {place.url}: {error}; check that the setting storage_role_arn ({role}) "
            "names a role that trusts the server's own identity"
        ) from error
    return Credentials(
        {k: options[k] for k in _OPEN if k in options} | {
            "AWS_ACCESS_KEY_ID": answer["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": answer["SecretAccessKey"],
            "AWS_SESSION_TOKEN": answer["SessionToken"],
        },
        answer["Expiration"],
    )  # fmt: skip


def _client(options: Mapping[str, str]) -> Any:
    try:
        import boto3
    except ModuleNotFoundError as error:
        raise MissingExtra("scoped credentials need boto3: run `pip install 'boathouse[s3]'`") from error
    given = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
             "aws_session_token": "AWS_SESSION_TOKEN", "region_name": "AWS_REGION"}  # fmt: skip
    endpoint = options.get("AWS_ENDPOINT_URL_STS") or options.get("AWS_ENDPOINT_URL")
    found = {name: options[key] for name, key in given.items() if key in options}
    return boto3.client("sts", endpoint_url=endpoint, **({"region_name": "us-east-1"} | found))


def _session_name(session: str) -> str:
    """As STS allows it: 2 to 64 letters, digits and some signs."""
    return re.sub(r"[^\w+=,.@-]", "-", session, flags=re.ASCII)[:64].ljust(2, "-")
