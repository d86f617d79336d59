"""A program that takes orders, a line each, and the database that it works on."""

import subprocess
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from boathouse.database import Database


@dataclass
class Ordered:
    """Tells it what to do, and looks at what that left behind."""

    database: Database
    process: subprocess.Popen[str]

    def tell(self, *words: object) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def rows(self, query: str) -> list[Any]:
        with self.database.reading() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]
