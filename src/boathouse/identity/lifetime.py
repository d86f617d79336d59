"""How long a token holds: what is asked for, inside what the settings allow."""

from dataclasses import dataclass
from datetime import timedelta

from boathouse.errors import InvalidInput


@dataclass(frozen=True)
class Lifetime:
    """A default and a maximum."""

    default: timedelta = timedelta(days=90)
    maximum: timedelta = timedelta(days=365)

    def choose(self, asked: timedelta | None) -> timedelta:
        """What is asked for, else the default. Raises InvalidInput when it is longer than the maximum, or no time at all."""
        if asked is None:
            return min(self.default, self.maximum)
        if asked <= timedelta(0):
            raise InvalidInput("a token must hold for some time: `--expires 90d`, for example")
        if asked > self.maximum:
            raise InvalidInput(
                f"a token may hold for {self.maximum.days} days at most (the setting token_lifetime_max); ask for less"
            )
        return asked
