"""An attempt outlives whoever began it, is begun once, and leaves how it ended."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from boathouse.jobs.attempt import Attempt, Outcome, marked
from boathouse.jobs.definition import Limits
from boathouse.jobs.shim import Sieve

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are told apart by /proc")


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Attempt]:
    made = Attempt(tmp_path / "runs" / "r" / "t@1")
    yield made
    made.end()


def begin(attempt: Attempt, script: str, timeout: float = 0, limits: Limits | None = None) -> int:
    log = attempt.folder.with_name("t.log")
    return attempt.begin(
        ["/bin/sh", "-c", script], {"PATH": os.environ["PATH"]}, token="secret", cwd=Path("/tmp"), log=log, timeout=timeout,
        limits=limits or Limits(),
    )  # fmt: skip


def wait_for(holds: Callable[[], object], seconds: float = 30) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.01)


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
def test_an_attempt_leaves_how_it_ended(attempt: Attempt, script: str, outcome: Outcome) -> None:
    assert ended(attempt, begin(attempt, script)) == outcome


def test_the_token_comes_by_descriptor_and_lies_nowhere(attempt: Attempt) -> None:
    ended(attempt, begin(attempt, 'cat <&"$BOATHOUSE_TOKEN_FD"; env'))
    assert log(attempt).count("secret") == 1
    assert not [f for f in attempt.folder.iterdir() if "secret" in f.read_text()]


def test_an_attempt_is_begun_once_however_often_that_is_tried(attempt: Attempt) -> None:
    shims = [begin(attempt, "echo once; sleep 0.3") for _ in range(5)]
    for shim in shims:
        os.waitpid(shim, 0)
    begin_again = begin(attempt, "echo once")
    assert ended(attempt, begin_again) == Outcome("SUCCESS", None, 0)
    assert log(attempt) == "once\n"


def test_time_ends_it_with_all_that_it_started_wherever_that_went(attempt: Attempt) -> None:
    shim = begin(attempt, "setsid sleep 300 & sleep 300 & echo both; wait", timeout=1.0)
    assert ended(attempt, shim) == Outcome("FAILED", None, -9, timed_out=True)
    assert log(attempt) == "both\n"
    assert left(attempt) == []


def test_what_a_task_leaves_behind_is_ended_with_it(attempt: Attempt) -> None:
    assert ended(attempt, begin(attempt, "setsid sleep 300 & setsid setsid sleep 300 & exit 0")) == Outcome("SUCCESS", None, 0)
    assert left(attempt) == []


def test_it_is_ended_when_that_is_asked_for(attempt: Attempt) -> None:
    begin(attempt, "echo on; sleep 300")
    wait_for(lambda: log(attempt))
    attempt.end()
    assert attempt.outcome() == Outcome("CANCELED", None, -9)


def test_without_its_shim_a_task_does_not_go_on_and_is_lost(attempt: Attempt) -> None:
    shim = begin(attempt, "setsid sleep 300 & echo on; sleep 300")
    wait_for(lambda: log(attempt))
    os.kill(shim, signal.SIGKILL)
    outcome = ended(attempt, shim)
    assert outcome is not None
    assert (outcome.state, outcome.exit_code) == ("LOST", None)
    attempt.sweep()
    assert left(attempt) == []


def test_more_memory_than_it_may_have_ends_it(attempt: Attempt) -> None:
    hungry = f"exec {sys.executable} -S -c 'import time; x = bytearray(200 << 20); time.sleep(300)'"
    outcome = ended(attempt, begin(attempt, hungry, limits=Limits(memory=100 << 20)))
    assert outcome == Outcome("FAILED", "out of memory", -9)


def test_processors_are_limited(attempt: Attempt) -> None:
    ended(attempt, begin(attempt, "nproc", limits=Limits(cpus=1)))
    assert log(attempt) == "1\n"


def test_what_cannot_be_executed_says_so(attempt: Attempt) -> None:
    log_file = attempt.folder.with_name("t.log")
    shim = attempt.begin(["/none/such"], {}, token="t", cwd=Path("/tmp"), log=log_file)
    assert ended(attempt, shim) == Outcome("FAILED", "exit code 127", 127)
    assert "could not be started" in log(attempt)


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
