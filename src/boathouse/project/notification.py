"""Who is told how jobs and tasks go, and when a run takes suspiciously long."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from boathouse.project.shape import Shape, Text, Word, words

_MAIL = re.compile(r"[^@\s:/]+@[^@\s:/]+")


def _addresses(given: tuple[str, ...]) -> tuple[str, ...]:
    for address in given:
        if not _MAIL.fullmatch(address):
            raise ValueError(f"{address!r} is no e-mail address")
    return given


def _one_or_several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Mails = Annotated[tuple[Word, ...], BeforeValidator(_one_or_several), AfterValidator(_addresses)]


class EmailNotifications(Shape):
    """E-mail addresses to write to."""

    on_start: Mails = ()
    on_success: Mails = ()
    on_failure: Mails = ()
    on_duration_warning_threshold_exceeded: Mails = ()
    no_alert_for_skipped_runs: bool = False
    unsupported = words("on_streaming_backlog_exceeded")


class Webhook(Shape):
    """A registered webhook by its name (`id`), or a URL, which may be `{{secrets/scope/key}}` or hold it."""

    id: Word | None = None
    url: Word | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.id is None) == (self.url is None):
            raise ValueError("give either id or url")
        if self.id and "://" in self.id:
            raise ValueError("id is the name of a webhook that `boathouse webhooks create` made; give an address as url")
        return self


class WebhookNotifications(Shape):
    """Webhooks to call."""

    on_start: tuple[Webhook, ...] = ()
    on_success: tuple[Webhook, ...] = ()
    on_failure: tuple[Webhook, ...] = ()
    on_duration_warning_threshold_exceeded: tuple[Webhook, ...] = ()
    unsupported = words("on_streaming_backlog_exceeded")


class NotificationSettings(Shape):
    """What is no news: runs that were skipped or canceled. `alert_on_last_attempt` is for tasks: retries are no news either."""

    no_alert_for_skipped_runs: bool = False
    no_alert_for_canceled_runs: bool = False
    alert_on_last_attempt: bool = False


class HealthRule(Shape):
    """A limit in seconds; a run, or a try of a task, that takes longer is told of, and goes on."""

    metric: Literal["RUN_DURATION_SECONDS"]
    op: Literal["GREATER_THAN"] = "GREATER_THAN"
    value: int = Field(ge=1)


def _known_rules(value: Any) -> Any:
    """Streams' backlogs are not measured: their rules are left out."""
    if isinstance(value, list | tuple):
        return [v for v in value if not (isinstance(v, Mapping) and str(v.get("metric", "")).startswith("STREAMING_BACKLOG"))]
    return value


class Health(Shape):
    """Limits of a job's runs, or of a task's."""

    rules: Annotated[tuple[HealthRule, ...], BeforeValidator(_known_rules)] = ()


class Target(Shape):
    """Whom an alert tells: one of an e-mail address, a URL and a registered webhook."""

    email: Annotated[Text, AfterValidator(lambda given: _addresses((given,))[0])] | None = None
    url: Word | None = None
    webhook: Word | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(given is not None for given in (self.email, self.url, self.webhook)) != 1:
            raise ValueError("give one of email, url and webhook")
        return self


def _as_target(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.startswith("webhook:"):
        return {"webhook": value.removeprefix("webhook:")}
    return {"url" if "://" in value or "{{" in value else "email": value}


Targets = Annotated[tuple[Annotated[Target, BeforeValidator(_as_target)], ...], BeforeValidator(_one_or_several)]
"""Each a text (an address, a URL, `webhook:NAME`) or a mapping."""
