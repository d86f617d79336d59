"""`authenticate` with 1,000 users in 50 groups and 5,000 tokens, on SQLite.

    python benchmarks/authenticate.py [--questions 50_000]

`warm`: the token was seen before, and the question still reads whether anything was taken away since. `cold`: it is
looked up. `after a change`: the first question after another process changed a group. `floor`: the one read that
every question makes. `password`: one try, for comparison. The last column is the ratio to the floor.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from boathouse import clock
from boathouse.database import Database
from boathouse.identity import Identities, Passwords, Sessions, secret
from boathouse.identity.store import members, principals, tokens

USERS, GROUPS, TOKENS = 1_000, 50, 5_000


def fill(database: Database) -> list[str]:
    """Users in five groups each, with five tokens each; the tokens' secrets."""
    drawn = random.Random(7)
    users, groups = [f"user{i}" for i in range(USERS)], [f"group{i}" for i in range(GROUPS)]
    secrets = [secret.new(secret.TOKEN) for _ in range(TOKENS)]
    rows = [{"id": secret.public_id(), "digest": secret.digest(s), "principal": users[i % USERS], "comment": "",
             "created_at": clock.now()} for i, s in enumerate(secrets)]  # fmt: skip
    with database.writing() as connection:
        connection.execute(principals.insert(), [{"name": u, "kind": "user"} for u in users])
        connection.execute(principals.insert(), [{"name": g, "kind": "group"} for g in groups])
        inside = [{"group_name": g, "member": u} for u in users for g in drawn.sample(groups, 5)]
        connection.execute(members.insert(), inside)
        connection.execute(tokens.insert(), rows)
    return secrets


def measured(act: Callable[[Any], Any], arguments: list[Any]) -> float:
    """Median microseconds of a call."""
    found = []
    for argument in arguments:
        begun = time.perf_counter()
        act(argument)
        found.append((time.perf_counter() - begun) * 1e6)
    return statistics.median(found)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=50_000)
    questions = parser.parse_args().questions
    with tempfile.TemporaryDirectory() as folder:
        database, other = (Database(f"sqlite:///{Path(folder) / 'metadata.db'}") for _ in range(2))
        database.create_tables()
        secrets = fill(database)
        identities, elsewhere, sessions = Identities(database), Identities(other), Sessions(database)
        passwords = Passwords(database)
        passwords.put("user1", "correct horse battery")
        cookie = sessions.open("user1", "password")
        glance = database.glance("SELECT epoch FROM bh_identity_epoch")

        def after_a_change(number: int) -> None:
            identities.authenticate(secrets[number])

        changed = []
        for number in range(100):
            elsewhere.add_member("group0" if number % 2 else "group1", f"user{number + 500}")
            changed.append(measured(after_a_change, [number]))
        cold = measured(identities.authenticate, secrets[200:1200])
        drawn = random.Random(11).choices(secrets[200:1200], k=questions)
        floor = measured(lambda _: glance.rows(), [None] * questions)
        figures = {
            "floor": floor,
            "warm": measured(identities.authenticate, drawn),
            "session, warm": measured(sessions.find, [cookie] * questions),
            "cold": cold,
            "after a change": statistics.median(changed),
            "password": measured(lambda p: passwords.matches("user1", p), ["wrong"] * 10),
        }
        print(f"{'':16}{'median µs':>12}{'x floor':>10}")
        for name, value in figures.items():
            print(f"{name:16}{value:12.1f}{value / floor:10.1f}")
        for one in (identities, elsewhere, sessions):
            one.close()
        database.close()
        other.close()


if __name__ == "__main__":
    main()
