"""Coming in by password, token or link, sessions, and out again; successes and failures are audited."""

import hmac
from datetime import timedelta

from boathouse.catalog import Audit
from boathouse.database import Database
from boathouse.errors import NotPermitted, Unauthenticated
from boathouse.identity import Attempts, Codes, Identities, Identity, Passwords, Sessions, Token, challenge_of
from boathouse.platform.people import People

_WRONG = "the name or the password is wrong"
_LINK_LIFETIME, _CODE_LIFETIME = timedelta(hours=12), timedelta(minutes=2)


class Logins:
    """The doors through which people come in, and what they hold then: a session in a browser, a token elsewhere."""

    def __init__(self, database: Database, identities: Identities, people: People, passwords: Passwords, sessions: Sessions,
                 audit: Audit) -> None:  # fmt: skip
        self.passwords = passwords
        self.sessions = sessions
        self._database = database
        self._identities = identities
        self._people = people
        self._attempts = Attempts(database)
        self._codes = Codes(database)
        self._audit = audit

    def identify(self, cookie: str | None) -> Identity:
        """Whose session a cookie names. Raises Unauthenticated."""
        found = self.sessions.find(cookie)
        self.sessions.touch(found.id)
        return Identity(found.principal, self._identities.groups_of(found.principal), via="session", credential=found.id)

    def check_password(self, name: str, password: str, address: str) -> str:
        """The user whose password this is. The answer, and its time, are the same for a wrong password and for nobody.

        Raises Unauthenticated, TooManyRequests saying how long to wait.
        """
        self._attempts.begin(name, address)
        if not self.passwords.matches(name, password):
            self._failed(name, "password", address, "wrong")
            raise Unauthenticated(_WRONG)
        self._attempts.succeeded(name, address)
        return name

    def check_token(self, secret: str) -> Token:
        """The token, if it opens a browser's session: one that is good everywhere. Raises Unauthenticated, NotPermitted."""
        who = self._identities.authenticate(secret)
        if who.via != "token" or who.bound:
            raise NotPermitted("a token of a run, or one that is for one environment alone, opens no session")
        return self._identities.token(who.credential)

    def make_link(self, who: Identity) -> str:
        """A path that opens a session of the caller, once, in the next hours. Raises NotPermitted."""
        if who.via in ("run", "workload") or who.bound:
            raise NotPermitted("a token of a run, or one that is for one environment alone, opens no session")
        return f"/login?once={self._codes.make('link', _LINK_LIFETIME, {'principal': who.principal})}"

    def redeem_link(self, code: str) -> str:
        """Whose link this was; it is used up. Raises Unauthenticated."""
        found = self._codes.redeem("link", code)
        if found is None:
            raise Unauthenticated("this link was used already, or is too old; `boathouse ui` makes a new one")
        return str(found["principal"])

    def make_code(self, who: Identity, challenge: str, comment: str) -> str:
        """A code with which the command line fetches a token of the caller, if it knows what `challenge` is the hash of.

        Raises NotPermitted for who came in otherwise than by a browser's session.
        """
        if who.via != "session":
            raise NotPermitted("a command line is let in from a browser")
        return self._codes.make("cli", _CODE_LIFETIME, {"principal": who.principal, "challenge": challenge, "comment": comment})

    def redeem_code(self, code: str, verifier: str, address: str) -> tuple[str, str]:
        """(principal, token) for a code, which is used up, whether or not the verifier fits. Raises Unauthenticated."""
        found = self._codes.redeem("cli", code)
        if found is None or not hmac.compare_digest(challenge_of(verifier), found["challenge"]):
            raise Unauthenticated("the browser's answer was used already, or is too old; run `boathouse login` again")
        return found["principal"], self.issue(found["principal"], "browser", found["comment"], address)

    def issue(self, principal: str, method: str, comment: str, address: str) -> str:
        """A token for whom a login outside of browsers let in. Raises Unauthenticated for who is disabled."""
        self._check_open(principal, method, address)
        lifetime, details = self._people.lifetime.choose(None), {"method": method, "address": address, "comment": comment}
        with self._database.writing() as connection:
            made = self._identities.issue(principal, comment=comment, lifetime=lifetime, origin="login")
            self._audit.write(connection, principal, "login", principal, details)
        return made

    def open(self, principal: str, method: str, *, address: str, agent: str = "", former: str | None = None,
             token: Token | None = None) -> str:  # fmt: skip
        """A new session's cookie; the one that the browser had before ends. Raises Unauthenticated for who is disabled."""
        self._check_open(principal, method, address)
        with self._database.writing() as connection:
            self.sessions.end(former)
            made = self.sessions.open(principal, method, address=address, agent=agent, token=token)
            self._audit.write(connection, principal, "login", principal, {"method": method, "address": address})
        return made

    def set_password(self, who: Identity, name: str, password: str, current: str | None, address: str) -> None:
        """Give a user a password: admins anyone, others themselves, saying the current one if there is one.

        Sessions of the user, but the one that asks, end. Raises InvalidInput for a password against the policy,
        Unauthenticated when the current one is wrong, NotPermitted.
        """
        if who.via in ("run", "workload") or who.bound:
            raise NotPermitted("passwords are changed by people, with a session or a token that is good everywhere")
        admin = self._people.is_admin(who)
        if name != who.principal:
            self._people.check_admin(who)
        elif self.passwords.has(name) and (not admin or who.via == "session"):
            self.check_password(name, current or "", address)
        self.passwords.put(name, password)
        self._attempts.forgive(name)
        with self._database.writing() as connection:
            ended = self.sessions.end_all(name, but=who.credential if who.via == "session" else "")
            self._audit.write(connection, who.principal, "change password", name, {"sessions_ended": ended})

    def logout(self, who: Identity) -> None:
        """End what the caller came in by: a session, or a token that a login made. Tokens made by hand stay."""
        if who.via == "session":
            self.end(who, who.credential)
        elif who.via == "token" and self._identities.token(who.credential).origin == "login":
            self._people.revoke(who, who.credential)

    def end(self, who: Identity, session_id: str) -> None:
        """End one of one's own sessions. Raises NotFound."""
        with self._database.writing() as connection:
            self.sessions.end_one(who.principal, session_id)
            self._audit.write(connection, who.principal, "logout", session_id)

    def end_all(self, who: Identity, *, but_this: bool = False) -> int:
        """End one's own sessions, this one too or not; how many."""
        with self._database.writing() as connection:
            ended = self.sessions.end_all(who.principal, but=who.credential if but_this else "")
            self._audit.write(connection, who.principal, "logout everywhere", who.principal, {"sessions": ended})
        return ended

    def close(self) -> None:
        """Write what is still in memory."""
        self.sessions.close()

    def _check_open(self, principal: str, method: str, address: str) -> None:
        found = self._identities.find(principal)
        if found is None or found.disabled or found.kind == "group":
            self._failed(principal, method, address, "disabled")
            raise Unauthenticated(f"{principal} may not log in: ask an admin")

    def _failed(self, name: str, method: str, address: str, reason: str) -> None:
        known = self._identities.find(name)
        who = known.name if known else "unknown"  # what was typed as a name may have been a password
        self._audit.record(who, "login", who, {"method": method, "address": address, "reason": reason}, "denied")
