"""An attempt outlives whoever began it, is begun once, and leaves how it ended."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_for

from boathouse.environments import Sandbox, isolation
from boathouse.jobs.attempt import Attempt, Outcome, marked
from boathouse.jobs.definition import Limits
from boathouse.jobs.shim import Sieve

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are told apart by /proc")


class Walled(Attempt):
    """An attempt behind walls, or one without."""

    sandbox: Sandbox | None = None


@pytest.fixture(params=["bare", "walled"])
def attempt(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Walled]:
    made = Walled(tmp_path / "runs" / "r" / "t@1")
    if request.param == "walled":
        found = isolation("auto")
        if found.program is None:
            pytest.skip(found.why)
        made.sandbox = Sandbox(found.program, hidden=(str(tmp_path),))
    yield made
    made.end()
    assert not [name for name in ("scratch", "code") if (made.folder / name).exists()]


def begin(attempt: Walled, script: str, timeout: float = 0, limits: Limits | None = None) -> int:
    log = attempt.folder.with_name("t.log")
    return attempt.begin(
        ["/bin/sh", "-c", script], {"PATH": os.environ["PATH"]}, token="secret", cwd=Path("/tmp"), log=log, timeout=timeout,
        limits=limits or Limits(), sandbox=attempt.sandbox,
    )  # fmt: skip


def ended(attempt: Attempt, shim: int) -> Outcome | None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(shim, 0)
    return attempt.outcome()


def log(attempt: Attempt) -> str:
    path = attempt.folder.with_name("t.log")
    return path.read_text() if path.exists() else ""


def left(attempt: Attempt) -> list[int]:
    return [pid for pid, _ in marked(str(attempt.folder))]


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ("echo done", Outcome("SUCCESS", None, 0)),
        ("exit 7", Outcome("FAILED", "exit code 7", 7)),
        ("kill -9 $$", Outcome("FAILED", "killed by SIGKILL", -9)),
        ("kill -11 $$", Outcome("FAILED", "killed by SIGSEGV", -11)),
    ],
)
def test_an_attempt_leaves_how_it_ended(attempt: Walled, script: str, outcome: Outcome) -> None:
    assert ended(attempt, begin(attempt, script)) == outcome


def test_the_token_comes_by_descriptor_and_lies_nowhere(attempt: Walled) -> None:
    ended(attempt, begin(attempt, 'cat <&"$BOATHOUSE_TOKEN_FD"; env'))
    assert log(attempt).count("secret") == 1
    assert not [f for f in attempt.folder.iterdir() if "secret" in f.read_text()]


def test_an_attempt_is_begun_once_however_often_that_is_tried(attempt: Walled) -> None:
    shims = [begin(attempt, "echo once; sleep 0.3") for _ in range(5)]
    for shim in shims:
        os.waitpid(shim, 0)
    begin_again = begin(attempt, "echo once")
    assert ended(attempt, begin_again) == Outcome("SUCCESS", None, 0)
    assert log(attempt) == "once\n"


def test_time_ends_it_with_all_that_it_started_wherever_that_went(attempt: Walled) -> None:
    shim = begin(attempt, "setsid sleep 300 & sleep 300 & echo both; wait", timeout=1.0)
    assert ended(attempt, shim) == Outcome("FAILED", None, -9, timed_out=True)
    assert log(attempt) == "both\n"
    assert left(attempt) == []


def test_what_a_task_leaves_behind_is_ended_with_it(attempt: Walled) -> None:
    assert ended(attempt, begin(attempt, "setsid sleep 300 & setsid setsid sleep 300 & exit 0")) == Outcome("SUCCESS", None, 0)
    assert left(attempt) == []


def test_it_is_ended_when_that_is_asked_for(attempt: Walled) -> None:
    begin(attempt, "echo on; sleep 300")
    wait_for(lambda: log(attempt))
    attempt.end()
    assert attempt.outcome() == Outcome("CANCELED", None, -9)


def test_without_its_shim_a_task_does_not_go_on_and_is_lost(attempt: Walled) -> None:
    shim = begin(attempt, "setsid sleep 300 & echo on; sleep 300")
    wait_for(lambda: log(attempt))
    os.kill(shim, signal.SIGKILL)
    outcome = ended(attempt, shim)
    assert outcome is not None
    assert (outcome.state, outcome.exit_code) == ("LOST", None)
    attempt.sweep()
    assert left(attempt) == []


def test_more_memory_than_it_may_have_ends_it(attempt: Walled) -> None:
    hungry = f"exec {sys.executable} -S -c 'import time; x = bytearray(200 << 20); time.sleep(300)'"
    outcome = ended(attempt, begin(attempt, hungry, limits=Limits(memory=100 << 20)))
    assert outcome == Outcome("FAILED", "out of memory", -9)


def test_processors_are_limited(attempt: Walled) -> None:
    ended(attempt, begin(attempt, "nproc", limits=Limits(cpus=1)))
    assert log(attempt) == "1\n"


def test_what_cannot_be_executed_says_so(attempt: Walled) -> None:
    log_file = attempt.folder.with_name("t.log")
    shim = attempt.begin(["/none/such"], {}, token="t", cwd=Path("/tmp"), log=log_file, sandbox=attempt.sandbox)
    outcome = ended(attempt, shim)
    assert outcome is not None
    assert (outcome.state, "/none/such" in log(attempt) or "could not be started" in log(attempt)) == ("FAILED", True)


def test_its_log_shows_no_secret_whether_known_before_or_told_while_it_runs(attempt: Attempt) -> None:
    script = "echo one hunter2 >&2; printf hun; sleep 0.2; printf ter2; while [ ! -e go ]; do sleep 0.02; done; echo; echo s3same"
    log_file, folder = attempt.folder.with_name("t.log"), attempt.folder.parents[2]
    shim = attempt.begin(["/bin/sh", "-c", script], {"PATH": os.environ["PATH"]}, token="t", cwd=folder, log=log_file,
                         hidden=["hunter2"])  # fmt: skip
    wait_for(lambda: log(attempt).count("REDACTED") == 2)
    attempt.hide(["s3same", "x" * 200_000])
    (folder / "go").touch()
    ended(attempt, shim)
    assert log(attempt) == "one [REDACTED]\n[REDACTED]\n[REDACTED]\n"
    assert not (attempt.folder / "hide").exists()


@pytest.mark.parametrize("pieces", [["a secret"], ["a sec", "ret"], ["a s", "e", "c", "r", "e", "t"], ["a secretly", " s"]])
def test_a_text_is_hidden_however_it_is_cut(pieces: list[str]) -> None:
    sieve = Sieve(["secret", "secretly kept", "ret"])
    said = b"".join(sieve.put(piece.encode()) for piece in pieces) + sieve.rest()
    assert said.decode() == "".join(pieces).replace("secret", "[REDACTED]")


def test_the_longest_of_two_hidden_texts_is_hidden_whole() -> None:
    sieve = Sieve(["abc", "abcdef", "xab"])
    assert sieve.put(b"1 abc") + sieve.put(b"def 2 xa") + sieve.put(b"bc") + sieve.rest() == b"1 [REDACTED] 2 [REDACTED]c"


def test_memory_of_what_left_the_session_counts(attempt: Attempt) -> None:
    hungry = f"{sys.executable} -S -c 'import time; x = bytearray(200 << 20); time.sleep(300)'"
    outcome = ended(attempt, begin(attempt, f"setsid {hungry} & sleep 300", limits=Limits(memory=100 << 20)))
    assert outcome == Outcome("FAILED", "out of memory", -9)
    assert left(attempt) == []


def test_a_task_behind_walls_changes_a_copy_of_its_commit(tmp_path: Path) -> None:
    found = isolation("auto")
    if found.program is None:
        pytest.skip(found.why)
    code = tmp_path / "home" / "checkouts" / "p" / "c0ffee"
    code.mkdir(parents=True)
    (code / "numbers").write_text("1\n")
    (code / "link").symlink_to("numbers")
    sandbox = Sandbox(found.program, hidden=(str(tmp_path / "home"),), copied=str(code))
    made = Attempt(tmp_path / "home" / "runs" / "t@1")
    script = f"echo 2 >> numbers; cat link; ls {tmp_path}/home; echo $HOME $TMPDIR; touch /tmp/x; ls /tmp /root"
    log_file = tmp_path / "t.log"
    os.waitpid(made.begin(["/bin/sh", "-c", script], {}, token="t", cwd=code, log=log_file, sandbox=sandbox), 0)
    assert log_file.read_text().split()[:5] == ["1", "2", "checkouts", "/tmp", "/tmp"]
    assert (code / "numbers").read_text() == "1\n"
    assert sorted(f.name for f in made.folder.iterdir()) == ["exit.json", "lock", "shim.log", "started"]
