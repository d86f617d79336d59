"""Servers that run as processes of their own on one database, and are killed."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from boathouse.client import Http, Lake
from boathouse.database import Database
from boathouse.server.serve import free_port


@dataclass
class ServerProcesses:
    """Servers by their names, and what their database and the ledger that their tasks write tell."""

    database: Database
    ledger_file: Path
    processes: dict[str, "subprocess.Popen[str]"] = field(default_factory=dict)
    lakes: dict[str, Lake] = field(default_factory=dict)

    def command(self, home: Path, **settings: str) -> tuple[list[str], dict[str, str]]:
        """The words that start a server on a free port, and its environment."""
        port, program = free_port(), Path(sys.executable).with_name("boathouse")
        environ = {**os.environ, "BOATHOUSE_DATABASE_URL": self.database.url,
                   "BOATHOUSE_ADDRESS": f"http://127.0.0.1:{port}", **settings}  # fmt: skip
        return [str(program), "--home", str(home), "up", "--join", "--port", str(port)], environ

    def start_server(self, name: str, home: Path, *, under: Sequence[str] = (), settings: Mapping[str, str] = {}) -> Lake:
        """A server that is up, started by another program if there are words of one, and its operator."""
        words, environ = self.command(home, **settings)
        self.processes[name] = made = subprocess.Popen([*under, *words], stdout=subprocess.PIPE, text=True, env=environ)
        assert made.stdout
        assert made.stdout.readline().startswith("Boathouse is at")
        token = (home / "secrets" / "operator.token").read_text()
        self.lakes[name] = lake = Lake(Http(environ["BOATHOUSE_ADDRESS"], token), "dev")
        return lake

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        if lake := self.lakes.pop(name, None):
            lake.close()
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()

    def close(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        self.database.close()

    def run(self, name: str, job: str = "nap", **parameters: str) -> str:
        """The id of a run that was submitted to one of them."""
        return str(self.lakes[name].call("POST", f"/api/v1/jobs/dev/{job}/runs", {"parameters": parameters})["run_id"])

    def rows(self, query: str) -> list[Any]:
        with self.database.reading() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]

    def ledger(self) -> Counter[str]:
        return Counter(self.ledger_file.read_text().splitlines() if self.ledger_file.exists() else ())
