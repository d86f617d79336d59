"""The policy of a session, judged by a small evaluator of IAM's rules that knows nothing of how it was made."""

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from boathouse.lake import Storage
from boathouse.lake.policy import session_policy

TABLE = Storage("s3://lake/a b/dev/raw/events")
KEYS = st.text("abdevraw/*?$.{}%_ ", min_size=1, max_size=30)


def pattern(written: str) -> re.Pattern[str]:
    parts = re.split(r"(\$\{[*?$]\}|\*|\?)", written)
    meaning = {"*": ".*", "?": ".", "${*}": r"\*", "${?}": r"\?", "${$}": r"\$"}
    return re.compile("".join(meaning.get(p) or re.escape(p) for p in parts), re.DOTALL)


def allows(policy: dict[str, Any], action: str, resource: str, prefix: str | None = None) -> bool:
    """Whether any statement allows; what none allows is denied."""
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        listed = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix")
        if (
            any(pattern(a).fullmatch(action) for a in statement["Action"])
            and any(pattern(r).fullmatch(resource) for r in statement["Resource"])
            and (listed is None or any(pattern(p).fullmatch(prefix or "") for p in listed))
        ):
            return True
    return False


def test_reading_is_getting_and_listing_the_tables_own_objects() -> None:
    policy = session_policy(TABLE, write=False)
    assert allows(policy, "s3:GetObject", "arn:aws:s3:::lake/a b/dev/raw/events/_delta_log/0.json")
    assert allows(policy, "s3:ListBucket", "arn:aws:s3:::lake", "a b/dev/raw/events/_delta_log/")
    assert not allows(policy, "s3:PutObject", "arn:aws:s3:::lake/a b/dev/raw/events/x")
    assert not allows(policy, "s3:DeleteObject", "arn:aws:s3:::lake/a b/dev/raw/events/x")


def test_writing_adds_putting_and_deleting() -> None:
    policy = session_policy(TABLE, write=True)
    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"):
        assert allows(policy, action, "arn:aws:s3:::lake/a b/dev/raw/events/x")


@pytest.mark.parametrize("prefix", [None, "", "a b/", "a b/dev/raw/", "a b/dev/raw/events", "a b/dev/raw/events2/", "a b/prod/"])
def test_nothing_else_is_listed(prefix: str | None) -> None:
    assert not allows(session_policy(TABLE, write=True), "s3:ListBucket", "arn:aws:s3:::lake", prefix)


@pytest.mark.parametrize("action", ["s3:PutBucketPolicy", "s3:PutObjectAcl", "s3:DeleteBucket", "sts:AssumeRole", "iam:PassRole"])
def test_no_other_action_is_allowed(action: str) -> None:
    policy = session_policy(TABLE, write=True)
    for resource in ("arn:aws:s3:::lake", "arn:aws:s3:::lake/a b/dev/raw/events/x", "*"):
        assert not allows(policy, action, resource)


@given(KEYS, KEYS)
def test_no_key_outside_the_table_is_reached_whatever_signs_the_names_have(inside: str, key: str) -> None:
    root = inside.strip("/")
    assume(root and "%" not in root and not key.startswith(f"{root}/") and "//" not in root)
    policy = session_policy(Storage(f"s3://lake/{root.replace('?', '%3F')}"), write=True)
    assert allows(policy, "s3:GetObject", f"arn:aws:s3:::lake/{root}/part-0.parquet")
    assert not allows(policy, "s3:GetObject", f"arn:aws:s3:::lake/{key}")


def test_a_whole_bucket_is_that_bucket_alone() -> None:
    policy = session_policy(Storage("s3://lake"), write=False)
    assert allows(policy, "s3:GetObject", "arn:aws:s3:::lake/any/thing")
    assert not allows(policy, "s3:GetObject", "arn:aws:s3:::lake2/any/thing")


def test_a_key_of_encryption_may_be_used() -> None:
    key = "arn:aws:kms:eu-west-1:1:key/abc"
    policy = session_policy(Storage("s3://lake/t", {"AWS_SSE_KMS_KEY_ID": key}), write=False)
    assert allows(policy, "kms:Decrypt", key)
    assert not allows(policy, "kms:Decrypt", "arn:aws:kms:eu-west-1:1:key/other")
