"""The other side of notifications: an SMTP server and an HTTP server that keep what they are given."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Mailbox(socketserver.ThreadingTCPServer):
    """Speaks as much of SMTP as a client needs to hand over mail; refuses recipients at `refuses`."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, refuses: str = "refused@", host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), _Smtp)
        self.refuses = refuses
        self.mails: list[EmailMessage] = []

    @property
    def url(self) -> str:
        return f"smtp://{self.server_address[0]!s}:{self.server_address[1]}"


class _Smtp(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        self._say("220 here")
        while line := self.rfile.readline():
            word = line[:4].upper().strip()
            if word == b"DATA":
                self._say("354 go on")
                self._take()
            elif word == b"RCPT" and self.server.refuses.encode() in line:
                self._say("550 no such person")
            else:
                self._say("221 bye" if word == b"QUIT" else "250 yes")
                if word == b"QUIT":
                    return

    def _take(self) -> None:
        lines = []
        while (line := self.rfile.readline()).rstrip(b"\r\n") != b".":
            lines.append(line.removeprefix(b"."))
        parsed = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.server.mails.append(parsed)
        self._say("250 taken")

    def _say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


class Desk(ThreadingHTTPServer):
    """Takes POSTs; the first `failing` of them are answered 503."""

    def __init__(self, failing: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.failing = failing
        self.posts: list[tuple[str, dict[str, str], Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Post(BaseHTTPRequestHandler):
    server: Desk

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fails, self.server.failing = self.server.failing > 0, max(0, self.server.failing - 1)
        if not fails:
            self.server.posts.append((self.path, dict(self.headers), json.loads(body)))
        self.send_response(503 if fails else 200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing to say."""


@contextmanager
def running(server: Any) -> Iterator[Any]:
    """A server that answers in the background."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
