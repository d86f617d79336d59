"""Shares and the people behind them: who may invite whom, and who comes with a recipient's token."""

from datetime import timedelta

from boathouse.catalog import Recipient, Shares, ShareToken
from boathouse.errors import NotPermitted, Unauthenticated
from boathouse.identity import Identities, Identity
from boathouse.platform.people import People


class Sharing:
    """Recipients are principals: what they may read of a share is what they hold SELECT on."""

    def __init__(self, shares: Shares, people: People, identities: Identities) -> None:
        self.shares = shares
        self._people = people
        self._identities = identities

    def invite(self, who: Identity, share: str, principal: str, lifetime: timedelta | None = None) -> tuple[str, ShareToken]:
        """A token that opens one share as a principal that the caller may act for: its secret, and what lists show.

        Raises NotPermitted, NotFound, and InvalidInput for a lifetime beyond the maximum.
        """
        if who.via in ("run", "workload") or who.bound:
            raise NotPermitted("a run, and a token made for one environment, cannot invite to shares")
        self._identities.get(principal)
        if principal != who.principal:
            self._people.check_manages(who, principal)
        return self.shares.invite(who, share, principal, self._people.lifetime.choose(lifetime))

    def enter(self, secret: str | None = None, *, token_id: str | None = None) -> tuple[Recipient, Identity]:
        """The recipient behind a token, and the identity whose grants hold. Raises Unauthenticated."""
        recipient = self.shares.recipient(secret, token_id=token_id)
        found = self._identities.find(recipient.principal)
        if found is None or found.disabled:
            raise Unauthenticated(f"{recipient.principal} is let in no more")
        groups = self._identities.groups_of(recipient.principal)
        return recipient, Identity(recipient.principal, groups, via="token", credential=recipient.token_id)
