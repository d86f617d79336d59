"""What project files ask to be told of arrives: by SMTP and HTTP, again after a refusal, and nothing else arrives."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from receivers import Desk, Mailbox, running
from waiting import wait_for

import boathouse
from boathouse import settings
from boathouse.client import Lake
from boathouse.errors import InvalidInput, MissingExtra, Unavailable
from boathouse.events import Chat, Message, channel_of
from boathouse.events.channels import Mail
from boathouse.identity import Identity
from boathouse.platform import Platform

pytestmark = pytest.mark.xdist_group("jobs")
BUNDLE = """
bundle: {name: telling}
targets: {dev: {default: true, environment: dev}}
resources:
  jobs:
    good:
      email_notifications: {on_start: [ann@example.org], on_success: [ann@example.org], on_failure: [never@example.org]}
      webhook_notifications: {on_success: [{id: chat}, {url: "{{secrets/chat/url}}"}]}
      health: {rules: [{metric: RUN_DURATION_SECONDS, op: GREATER_THAN, value: 3600}]}
      tasks: [{task_key: one, sql_task: {query: "select 1"}}]
    bad:
      email_notifications: {on_failure: [ops@example.org, refused@example.org]}
      tasks:
        - task_key: loud
          max_retries: 1
          webhook_notifications: {on_failure: [{url: "HOOK/loud"}]}
          spark_python_task: {python_file: bad.py}
        - task_key: calm
          max_retries: 1
          webhook_notifications: {on_start: [{url: "HOOK/calm"}], on_failure: [{url: "HOOK/calm"}]}
          notification_settings: {alert_on_last_attempt: true}
          spark_python_task: {python_file: bad.py}
    slow:
      email_notifications: {on_duration_warning_threshold_exceeded: [slow@example.org], on_failure: [slow@example.org]}
      notification_settings: {no_alert_for_canceled_runs: true}
      health: {rules: [{metric: RUN_DURATION_SECONDS, op: GREATER_THAN, value: 1}]}
      queue: {enabled: false}
      tasks:
        - task_key: sleep
          health: {rules: [{metric: RUN_DURATION_SECONDS, op: GREATER_THAN, value: 1}]}
          email_notifications: {on_duration_warning_threshold_exceeded: [tardy@example.org]}
          spark_python_task: {python_file: slow.py}
"""
SECRET_PATH = "/a-secret-path"


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with running(Mailbox()) as made:
        yield made


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with running(Desk(failing=1)) as made:
        yield made


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox, desk: Desk) -> Iterator[Lake]:
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("telling")
    kept = {"smtp_url": mailbox.url, "smtp_from": "bh@example.org", "webhook_private_addresses": "on"}
    (home / "boathouse.toml").write_text("".join(f'{k} = "{v}"\n' for k, v in kept.items()))
    (folder / "boathouse.yml").write_text(BUNDLE.replace("HOOK", desk.url))
    (folder / "bad.py").write_text("raise SystemExit(3)\n")
    (folder / "slow.py").write_text("import time\ntime.sleep(60)\n")
    environ = dict(os.environ)
    with boathouse.connect(home=str(home)) as connected:
        connected.call("POST", "/api/v1/webhooks/dev/chat", {"url": f"{desk.url}/chat", "events": ["notification"]})
        connected.secrets.put("chat/url", f"{desk.url}{SECRET_PATH}")
        grant = {"principal": "dev-jobs", "privilege": "READ SECRET", "kind": "secret_scope", "securable": "dev.chat"}
        connected.call("POST", "/api/v1/grants", grant)
        connected.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(folder)})
        yield connected
    os.environ.clear()
    os.environ.update(environ)


def rows(lake: Lake, **where: Any) -> list[Any]:
    found = lake.http.call("GET", "/api/v1/notifications/dev", params=where)
    assert isinstance(found, list)
    return found


def mails(mailbox: Mailbox, to: str) -> list[str]:
    return [str(m["Subject"]) for m in mailbox.mails if m["To"] == f"{to}@example.org"]


def test_a_success_is_told_of_by_mail_and_by_request_also_after_a_refusal(lake: Lake, mailbox: Mailbox, desk: Desk) -> None:
    run = lake.jobs.run("good")
    wait_for(lambda: len(desk.posts) >= 2 and len(mails(mailbox, "ann")) == 2)
    assert mails(mailbox, "ann") == ["[dev] good started", "[dev] good succeeded"]
    told = {path: (headers, body) for path, headers, body in desk.posts}
    headers, body = told["/chat"]
    assert (body["event_type"], body["run"]["run_id"], body["run"]["state"]) == ("jobs.on_success", run["id"], "SUCCESS")
    assert "X-MLflow-Signature" in headers
    assert "X-MLflow-Signature" not in told[SECRET_PATH][0]
    kept = rows(lake)
    assert {r["state"] for r in kept} == {"SENT"}
    assert max(r["attempts"] for r in kept) == 2
    assert SECRET_PATH not in json.dumps(kept)
    assert mails(mailbox, "never") == []


def test_a_failure_is_told_of_for_each_try_of_a_task_or_for_its_last(lake: Lake, mailbox: Mailbox, desk: Desk) -> None:
    lake.jobs.wait(lake.jobs.submit("bad"), 90)
    wait_for(lambda: len([p for p in desk.posts if p[0] in ("/loud", "/calm")]) >= 4 and mails(mailbox, "ops"))
    assert [(p[2]["event_type"], p[2]["task"]["attempt"]) for p in desk.posts if p[0] == "/loud"] == [
        ("tasks.on_failure", 0), ("tasks.on_failure", 1)]  # fmt: skip
    assert [(p[2]["event_type"], p[2]["task"]["attempt"]) for p in desk.posts if p[0] == "/calm"] == [
        ("tasks.on_start", 0), ("tasks.on_failure", 1)]  # fmt: skip
    assert mails(mailbox, "ops") == ["[dev] bad failed"]
    wait_for(lambda: any(row["last_error"] for row in rows(lake, state="WAITING")))
    [refused] = rows(lake, state="WAITING")
    assert "no such person" in refused["last_error"]
    assert refused["next_try"] is not None


def test_a_long_run_is_told_of_and_a_canceled_one_is_no_news(lake: Lake, mailbox: Mailbox) -> None:
    run = lake.jobs.submit("slow")
    wait_for(lambda: mails(mailbox, "slow") and mails(mailbox, "tardy"))
    skipped = lake.jobs.wait(lake.jobs.submit("slow"))
    assert skipped["reason"].startswith("skipped: ")
    lake.call("POST", f"/api/v1/runs/{run}/cancel")
    assert lake.jobs.wait(run, 30)["state"] == "CANCELED"
    wait_for(lambda: len(mails(mailbox, "slow")) == 2)
    time.sleep(1.5)
    assert mails(mailbox, "slow") == ["[dev] slow takes long", "[dev] slow canceled"]
    assert mails(mailbox, "tardy") == ["[dev] task sleep of slow takes long"]


def test_the_command_line_lists_and_sends_again(lake: Lake, command: Callable[..., tuple[int, str]], mailbox: Mailbox) -> None:
    [waiting] = json.loads(command("notifications", "list", "--state", "waiting", "--json")[1])
    code, said = command("notifications", "resend", str(waiting["id"]))
    assert code == 1
    assert "did not reach refused@example.org" in said
    mailbox.refuses = "nobody@"
    assert "reached refused@example.org" in command("notifications", "resend", str(waiting["id"]))[1]


def test_an_alert_tells_when_it_fires_and_when_it_is_over(tmp_path: Path) -> None:
    kept = settings.load({"BOATHOUSE_WEBHOOK_PRIVATE_ADDRESSES": "on"}, home=str(tmp_path / "h"))
    with running(Desk()) as desk, Platform(kept) as home:
        alert = {"monitor": "m", "condition": "roc_auc < 0.9", "notify": [{"url": desk.url}, {"email": "ops@example.org"}]}
        root = Identity(home.operator, frozenset({"admins"}))
        home.deployments.replace(root, environment="prod", project="p", wanted=[("alert", "drop", alert)], source="/",
                                 commit="c" * 40, dirty=False)  # fmt: skip
        home.alerts.record("prod", "drop", {"state": "firing", "reason": "0.8 < 0.9", "windows": []})
        home.alerts.record("prod", "drop", {"state": "ok", "reason": "", "windows": []})
        for event in [*reversed(home.outbox.recent())] * 2:  # delivered twice, it is told once
            home.notices.on_event(event, "http://here")
        home.notifications.deliver()
        assert sorted(body["event_type"] for _, _, body in desk.posts) == ["alert.fired", "alert.resolved"]
        [one, two] = home.notifications.all("prod", "WAITING")
        assert "no SMTP server is set" in one["last_error"]
        assert two["address"] == "ops@example.org"


def test_addresses_tell_their_channel() -> None:
    found = [channel_of(a) for a in ("a@b.c", "https://x", "webhook:prod.w", "{{secrets/a/b}}", "slack://t/c")]
    assert found == ["email", "webhook", "webhook", "webhook", "apprise"]


def test_what_is_missing_is_named() -> None:
    message = Message("1", "t", "x", {})
    try:
        import apprise  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtra, match=r"pip install 'boathouse\[notify\]'"):
            Chat(private=False)("slack://a/b/c", message)
    with running(Mailbox(host="127.0.0.2")) as box, pytest.raises(InvalidInput, match="no STARTTLS"):
        Mail(box.url.replace("//", "//u:p@"), None)("a@b.c", message)


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise imports it where it is
def test_chat_services_are_told_through_apprise_and_private_addresses_only_where_they_are_allowed() -> None:
    pytest.importorskip("apprise", reason="needs boathouse[notify]")
    message = Message("1", "training failed", "exit code 3", {})
    with running(Desk()) as desk:
        address = desk.url.replace("http://", "json://")
        Chat(private=True)(address, message)
        with pytest.raises(InvalidInput, match=r"127\.0\.0\.1 is a private address"):
            Chat(private=False)(address, message)
    [(_, _, said)] = desk.posts
    assert (said["title"], said["message"]) == ("training failed", "exit code 3")
    with pytest.raises(Unavailable, match="could not send it"):
        Chat(private=True)(address, message)
    with pytest.raises(InvalidInput, match="own machine"):
        Chat(private=True)("syslog://", message)
    with pytest.raises(InvalidInput, match="does not know"):
        Chat(private=True)("nothing://x", message)
