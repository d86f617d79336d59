"""The ways by which notifications leave: e-mail by SMTP, an HTTP request, and whatever apprise knows."""

import hashlib
import json
import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import httpx

from boathouse import clock
from boathouse.errors import InvalidInput, MissingExtra, Unavailable
from boathouse.events.addresses import check_address, check_host
from boathouse.events.signed import headers_of

_TIMEOUT = 30.0
_OF_THIS_MACHINE = frozenset({"NotifySyslog", "NotifyDBus", "NotifyGnome", "NotifyMacOSX", "NotifyWindows"})


@dataclass(frozen=True)
class Message:
    """What is told: a line, some lines, and the same for programs. `id` is the same at each try."""

    id: str
    title: str
    text: str
    body: Mapping[str, Any]


class Channel(Protocol):
    """Sends a message to one address. Raises BoathouseError, OSError or httpx.HTTPError when it could not."""

    def __call__(self, address: str, message: Message) -> None:
        """Send; return once the other side has taken it."""


@dataclass(frozen=True)
class Mail:
    """E-mail through an SMTP server: `smtp://user:password@host:port`, or `smtps://` for TLS from the start.

    With a user, a server of `smtp://` must offer STARTTLS, unless it is this machine.
    """

    url: str | None
    sender: str | None

    def __call__(self, address: str, message: Message) -> None:
        """One e-mail. Raises InvalidInput without a server, OSError and SMTPException (an OSError) when it was refused."""
        if not self.url:
            raise InvalidInput("no SMTP server is set: set smtp_url, for example BOATHOUSE_SMTP_URL=smtp://mail.example.org:25")
        parts = urlsplit(self.url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise InvalidInput("the setting smtp_url is written smtp://HOST:PORT or smtps://USER:PASSWORD@HOST:PORT")
        secure = parts.scheme == "smtps"
        mail = EmailMessage()
        mail["Subject"], mail["To"] = " ".join(message.title.split()), address
        mail["From"] = self.sender or unquote(parts.username or "") or f"boathouse@{parts.hostname}"
        mail["Date"], mail["Message-ID"] = formatdate(), f"<{hashlib.sha256(message.id.encode()).hexdigest()[:32]}@boathouse>"
        mail.set_content(message.text)
        context = ssl.create_default_context()
        port = parts.port or (465 if secure else 25)
        server = (
            smtplib.SMTP_SSL(parts.hostname, port, timeout=_TIMEOUT, context=context)
            if secure
            else smtplib.SMTP(parts.hostname, port, timeout=_TIMEOUT)
        )
        with server:
            server.ehlo()
            if not secure and server.has_extn("starttls"):
                server.starttls(context=context)
            elif not secure and parts.username and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
                raise InvalidInput(f"{parts.hostname} offers no STARTTLS: a password is not sent in the clear; use smtps://")
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(mail)


@dataclass(frozen=True)
class Post:
    """A POST of the message as JSON; a registered webhook, `webhook:NAME`, gets it signed."""

    private: bool
    registered: Callable[[str], tuple[str, str]]
    """`environment.name` of a webhook -> (url, signing secret). Raises NotFound."""

    def __call__(self, address: str, message: Message) -> None:
        """One request, not redirected. Raises InvalidInput for an address that is not allowed, Unavailable for a refusal."""
        url, secret = address, ""
        if address.startswith("webhook:"):
            url, secret = self.registered(address.removeprefix("webhook:"))
        check_address(url, self.private)
        content = json.dumps({"title": message.title, "text": message.text, **message.body}, default=str)
        headers = {"Content-Type": "application/json", "X-Boathouse-Delivery-Id": message.id}
        if secret:
            headers |= headers_of(message.id, int(clock.now().timestamp()), content, secret)
        answer = httpx.post(url, content=content, headers=headers, timeout=_TIMEOUT, follow_redirects=False)
        if not answer.is_success:
            raise Unavailable(f"it answered {answer.status_code}: {answer.text[:200]}")


@dataclass(frozen=True)
class Chat:
    """Whatever apprise knows, by its URLs: `slack://…`, `msteams://…`; `private` ones are allowed or not, as for webhooks."""

    private: bool

    def __call__(self, address: str, message: Message) -> None:
        """One message. Raises MissingExtra, InvalidInput for an address that is not known or not allowed, Unavailable."""
        try:
            import apprise
        except ImportError as error:
            raise MissingExtra("addresses of this kind need apprise: run `pip install 'boathouse[notify]'`") from error
        sender = apprise.Apprise()
        if not sender.add(address):
            raise InvalidInput("apprise does not know this kind of address")
        for service in sender:
            if type(service).__name__ in _OF_THIS_MACHINE:
                raise InvalidInput("this kind of address tells the server's own machine, and nobody else")
            for name in ("host", "smtp_host"):
                host = str(getattr(service, name, None) or "")
                if "." in host or ":" in host or host == "localhost":  # else it is a token, or a name in the service's own words
                    check_host(host, self.private)
        if not sender.notify(title=message.title, body=message.text):
            raise Unavailable("apprise could not send it; the server's log says more")


def channel_of(address: str) -> str:
    """How an address is reached: `email`, `webhook` or `apprise`."""
    scheme, separator, _ = address.partition("://")
    if not separator:
        return "webhook" if address.startswith("webhook:") or "{{" in address else "email"
    return "webhook" if scheme in ("http", "https") else "apprise"
