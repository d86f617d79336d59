"""The home has one owner at a time."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from boathouse import settings
from boathouse.cli.serve import wait_for_session
from boathouse.errors import HomeInUse, InvalidInput, NewerHome
from boathouse.home import Home
from boathouse.local import reach
from boathouse.platform import Platform

OWNER = """
import sys, time
from boathouse import settings
from boathouse.home import Home
home = Home(settings.load({}, home=sys.argv[1]))
home.acquire()
home.publish("http://127.0.0.1:9")
print("owner", flush=True)
time.sleep(60)
"""


def home_at(path: Path) -> Home:
    return Home(settings.load({}, home=str(path)))


def test_a_second_owner_is_refused_by_the_first_ones_pid(tmp_path: Path) -> None:
    first = home_at(tmp_path)
    first.acquire()
    with pytest.raises(HomeInUse, match=f"in use by process {os.getpid()}; .*boathouse up"):
        home_at(tmp_path).acquire()
    first.release()
    second = home_at(tmp_path)
    second.acquire()
    second.release()


def test_another_processs_home_is_refused_until_it_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"owner\n"
        with pytest.raises(HomeInUse, match=f"process {owner.pid}"):
            home_at(tmp_path).acquire()
        address = home_at(tmp_path).address()
        assert address is not None
        assert (address.url, address.pid) == ("http://127.0.0.1:9", owner.pid)
        owner.send_signal(signal.SIGKILL)
    assert home_at(tmp_path).address() is None
    mine = home_at(tmp_path)
    mine.acquire()
    mine.release()


def test_a_process_that_got_a_dead_owners_number_is_not_taken_for_it(tmp_path: Path) -> None:
    home = home_at(tmp_path)
    home.acquire()
    home.publish("http://127.0.0.1:9")
    body = json.loads((tmp_path / "server.json").read_text())
    (tmp_path / "server.json").write_text(json.dumps({**body, "started": "1"}))
    assert home.address() is None
    home.release()


def test_a_home_can_be_given_back_by_another_thread(tmp_path: Path) -> None:
    home = home_at(tmp_path)
    home.acquire()
    thread = threading.Thread(target=home.release)
    thread.start()
    thread.join()
    again = home_at(tmp_path)
    again.acquire()
    again.release()


def test_a_home_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "home.json").write_text('{"format": 99}')
    with pytest.raises(NewerHome, match=r"newer Boathouse \(format 99, this one reads 1\); upgrade"):
        Platform(settings.load({}, home=str(tmp_path)))
    assert (tmp_path / "home.json").read_text() == '{"format": 99}'
    assert not (tmp_path / "boathouse.db").exists()


@pytest.mark.parametrize("words", ["", "{", "[]", '{"format": "x"}'])
def test_a_home_whose_format_cannot_be_read_says_so(tmp_path: Path, words: str) -> None:
    (tmp_path / "home.json").write_text(words)
    with pytest.raises(InvalidInput, match=r"home.json"):
        home_at(tmp_path).acquire()


def test_a_home_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match=r"cannot be made: .*; set BOATHOUSE_HOME"):
        home_at(tmp_path / "file" / "home").acquire()


def test_a_platform_that_fails_to_open_gives_the_home_back(tmp_path: Path) -> None:
    wanted = settings.load({}, home=str(tmp_path), database_url=f"sqlite:///{tmp_path}/no/such/folder.db")
    for _ in range(2):
        with pytest.raises(Exception, match="unable to open database file"):
            Platform(wanted)


def test_opening_again_keeps_what_was_there(tmp_path: Path) -> None:
    wanted = settings.load({}, home=str(tmp_path))
    with Platform(wanted) as first:
        token, grants = first.home.operator_token(), first.access.grants()
        assert first.audit.verify() is None
    with Platform(wanted) as second:
        assert (second.home.operator_token(), second.access.grants()) == (token, grants)
        assert second.audit.verify() is None
        assert second.identities.authenticate(token).principal == second.operator


def test_secrets_are_readable_by_the_owner_of_the_files_only(platform: Platform) -> None:
    for path in (platform.settings.home / "secrets").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    assert platform.settings.home.stat().st_mode & 0o077 == 0


def test_who_joins_a_home_has_a_seat_of_its_own_and_owns_it_when_the_owner_is_gone(tmp_path: Path) -> None:
    owner, second, third = (home_at(tmp_path) for _ in range(3))
    owner.acquire(join=True)
    second.acquire(join=True)
    third.acquire(join=True)
    assert [h.owned for h in (owner, second, third)] == [True, False, False]
    assert len({h.executor() for h in (owner, second, third)}) == len({h.place("runs") for h in (owner, second, third)}) == 3
    former = owner.executor()
    owner.release()
    assert second.own()
    assert not third.own()
    owner.acquire(join=True)
    assert (owner.owned, owner.executor()) == (False, former)
    for home in (owner, second, third):
        home.release()


def test_servers_share_a_home_on_postgresql_alone(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="set BOATHOUSE_DATABASE_URL"):
        Platform(settings.load({}, home=str(tmp_path)), join=True)


STARTING = """
import sys, time
from boathouse import settings
from boathouse.home import Home
home = Home(settings.load({}, home=sys.argv[1]))
home.acquire(session=sys.argv[2] == "session")
print("owner", flush=True)
time.sleep(1)
if sys.argv[2] == "server":
    home.publish("http://127.0.0.1:9")
    time.sleep(60)
home.release()
"""


def test_a_server_that_is_starting_is_waited_for(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTING, str(tmp_path), "server"], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"owner\n"
        http, on_close = reach(settings.load({}, home=str(tmp_path)))
        http.close()
        owner.kill()
    assert (http.url, on_close) == ("http://127.0.0.1:9", None)


def test_a_server_lets_a_session_end_before_it_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTING, str(tmp_path), "session"], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"owner\n"
        home = home_at(tmp_path)
        wait_for_session(home)
        assert f"process {owner.pid} works on {tmp_path}" in capsys.readouterr().out
        home.acquire()
        home.release()
