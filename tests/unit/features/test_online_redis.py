"""The online store in Redis: the contract of all stores, and what is its own."""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis
from online_stores import TABLE, OnlineStoreBehaviour, batch, wanted
from redis_servers import redis_server

from boathouse.errors import MissingExtra, Unavailable
from boathouse.features import OnlineStore, RedisStore


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with TemporaryDirectory(prefix="bh-redis-") as folder, redis_server(Path(folder)) as (url, _):  # a socket's path is short
        yield url


@pytest.fixture
def client(address: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(address) as found:
        found.flushall()
        yield found


class TestRedisStore(OnlineStoreBehaviour):
    @pytest.fixture
    def store(self, address: str, client: redis.Redis) -> OnlineStore:
        return RedisStore(address, "prod")


def test_environments_of_one_server_are_apart(address: str, client: redis.Redis) -> None:
    RedisStore(address, "prod").publish(wanted(), [batch(seats=[1, 2])])
    assert RedisStore(address, "dev").tables() == []


def test_lost_rows_are_told_and_never_answered_as_missing(address: str, client: redis.Redis) -> None:
    store = RedisStore(address)
    store.publish(wanted(1), [batch(seats=[1, 2])])
    client.delete(*client.keys("boathouse::rows:*"))
    with pytest.raises(Unavailable, match="publish it as a SNAPSHOT"):
        store.lookup(TABLE, [("N1",)])
    store.publish(wanted(2), [batch(seats=[3, 4])])
    assert store.lookup(TABLE, [("N1",)]).rows == [(3,)]


def test_rows_of_a_release_that_marked_none_are_marked_by_whoever_looks_first(address: str, client: redis.Redis) -> None:
    store = RedisStore(address)
    store.publish(wanted(1), [batch(seats=[1, 2])])
    (rows,) = client.keys("boathouse::rows:*")
    mark = client.hget(rows, b"\xc1")
    assert len(mark) == 40
    client.hset(rows, b"\xc1", b"")
    assert store.lookup(TABLE, [("N1",)]).rows == [(1,)]
    assert client.hget(rows, b"\xc1") == mark
    before = client.info("stats")["total_connections_received"]
    assert store.lookup(TABLE, [("N2",)]).rows == [(2,)]
    assert client.info("stats")["total_connections_received"] == before


def test_several_tables_cost_one_round_trip(address: str, client: redis.Redis) -> None:
    store = RedisStore(address)
    for table in "abc":
        store.publish(wanted(table=table), [batch(seats=[1, 2])])
    question = [(table, [("N1",), ("N2",)]) for table in "abc"]
    store.lookup_many(question)
    before = client.info("stats")["total_reads_processed"]
    store.lookup_many(question)
    assert client.info("stats")["total_reads_processed"] - before == 2  # one of them asked for these figures


def test_a_connection_that_the_server_closed_is_opened_anew(address: str, client: redis.Redis) -> None:
    store = RedisStore(address)
    store.publish(wanted(1), [batch(seats=[1, 2])])
    assert store.lookup(TABLE, [("N1",)]).rows == [(1,)]
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert store.lookup(TABLE, [("N1",)]).rows == [(1,)]


def test_a_lookup_needs_no_right_to_scripts(address: str, client: redis.Redis) -> None:
    RedisStore(address).publish(wanted(1), [batch(seats=[1, 2])])
    client.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], commands=["+@read", "+@transaction", "+@connection"])
    store = RedisStore(address.replace("unix://", "unix://reader:none@"))
    many = [("N1",), ("N2",)] * 50
    assert store.lookup(TABLE, many).rows == [(1,), (2,)] * 50
    client.acl_setuser("reader", commands=["-hmget"])
    with pytest.raises(Unavailable, match="hmget"):
        store.lookup(TABLE, many)
    client.acl_setuser("reader", commands=["+hmget"])
    assert store.lookup(TABLE, many).rows == [(1,), (2,)] * 50
    client.acl_deluser("reader")


def test_what_a_killed_publisher_left_goes_with_the_next_publication(address: str, client: redis.Redis) -> None:
    store = RedisStore(address)
    client.sadd("boathouse::parts", f"boathouse::rows:{TABLE}:dead")
    client.hset(f"boathouse::rows:{TABLE}:dead", "x", "y")
    store.publish(wanted(1), [batch(seats=[1, 2])])
    store.publish(wanted(2), [batch(seats=[1, 2])])
    assert len(client.keys("boathouse::rows:*")) == 1
    client.sadd("boathouse::parts", f"boathouse::rows:{TABLE}:later")
    client.hset(f"boathouse::rows:{TABLE}:later", "x", "y")
    store.update(wanted(3), 2, [batch(seats=[1, 2])], [batch(seats=[3, 4])])
    assert len(client.keys("boathouse::rows:*")) == 1
    assert client.smembers("boathouse::parts") == set()


def test_a_server_that_is_gone_or_full_is_told(tmp_path: Path) -> None:
    with TemporaryDirectory(prefix="bh-redis-") as folder, redis_server(Path(folder), "--maxmemory", "3mb") as (url, process):
        store = RedisStore(url)
        store.publish(wanted(1), [batch(seats=[1, 2])])
        many = batch([f"N{i}" for i in range(60_000)], note=["x" * 50] * 60_000)
        with pytest.raises(Unavailable, match="maxmemory"):
            store.publish(wanted(2), [many])
        assert store.lookup(TABLE, [("N1",)]).rows == [(1,)]
        process.kill()
        process.wait()
        with pytest.raises(Unavailable, match="BOATHOUSE_ONLINE_STORE"):
            store.lookup(TABLE, [("N1",)])


def test_a_full_server_answers_lookups(tmp_path: Path) -> None:
    with TemporaryDirectory(prefix="bh-redis-") as folder, redis_server(Path(folder)) as (url, _):
        store, client = RedisStore(url), redis.Redis.from_url(url)
        for version, table in enumerate(("planes", "crews")):
            store.publish(wanted(version, table), [batch(seats=[1, 2])])
        other = RedisStore(url)
        assert other.lookup("planes", [("N1",)]).rows == [(1,)]
        store.update(wanted(1, "planes"), 0, [batch(seats=[3, 2])], [batch(seats=[3, 2])])
        client.config_set("maxmemory", 1)
        with pytest.raises(Unavailable, match="maxmemory"):
            store.publish(wanted(2, "planes"), [batch(seats=[5, 6])])
        for each in (store, other):  # one of them knows an older description
            found = each.lookup_many([("planes", [("N1",)]), ("crews", [("N2",), ("N9",)])])
            assert [of.rows for of in found] == [[(3,)], [(2,), None]]


def test_a_server_that_evicts_rows_is_not_fit(tmp_path: Path) -> None:
    options = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    with (
        TemporaryDirectory(prefix="bh-redis-") as folder,
        redis_server(Path(folder), *options) as (url, _),
        pytest.raises(Unavailable, match="set noeviction"),
    ):
        RedisStore(url).check()


@pytest.mark.parametrize("library", ["redis", "hiredis"])
def test_the_missing_library_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r"pip install 'boathouse\[redis\]'"):
        RedisStore("redis://localhost")
