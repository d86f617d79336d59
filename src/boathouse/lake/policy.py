"""What a session on S3 may do: one table's prefix and nothing else, as a policy document of IAM."""

from typing import Any
from urllib.parse import unquote, urlparse

from boathouse.lake.storage import Storage

_READ = ("s3:GetObject",)
_WRITE = (*_READ, "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
_KEY = ("kms:Decrypt", "kms:GenerateDataKey")


def session_policy(place: Storage, write: bool) -> dict[str, Any]:
    """Reading (and writing) of the objects below a place, and listing them; `place` is on S3."""
    parts = urlparse(place.url)
    prefix = _literal(unquote(parts.path).strip("/"))
    bucket, below = f"arn:aws:s3:::{parts.netloc}", f"{prefix}/" if prefix else ""
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": list(_WRITE if write else _READ), "Resource": [f"{bucket}/{below}*"]},
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [bucket],
         "Condition": {"StringLike": {"s3:prefix": [f"{below}*"]}}},
    ]  # fmt: skip
    if key := place.options.get("AWS_SSE_KMS_KEY_ID"):
        statements.append({"Effect": "Allow", "Action": list(_KEY), "Resource": [key if key.startswith("arn:") else "*"]})
    return {"Version": "2012-10-17", "Statement": statements}


def _literal(prefix: str) -> str:
    """A key as a pattern that matches only itself: IAM has wildcards and variables."""
    return "".join("${" + sign + "}" if sign in "*?$" else sign for sign in prefix)
