"""What a clone shall be, and what came of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from boathouse.errors import InvalidInput

Way = Literal["deep", "shallow", "sampled", "synthetic"]


@dataclass(frozen=True)
class CloneSpec:
    """A table to be copied.

    `sample` is a share (`10%`) or a number of rows, chosen by the hash of the primary keys without the event time, or of
    the columns `by`. `mask` applies masks and filter as for somebody in no group. `synthetic` makes rows up; `keys` are
    columns that it maps as keys beside those that are known. `seed` makes samples and made-up keys of several tables
    fit together; without one, no two clones do.
    """

    source: str
    target: str
    version: int | None = None
    shallow: bool = False
    sample: str | None = None
    by: tuple[str, ...] = ()
    mask: bool = False
    synthetic: bool = False
    keys: tuple[str, ...] = ()
    seed: str | None = None

    def check(self) -> None:
        """Raises InvalidInput for what does not go together."""
        if self.shallow and (self.sample or self.mask or self.synthetic):
            raise InvalidInput("a shallow clone shares the files as they are: leave out --sample, --mask and --synthetic")
        if self.by and not self.sample:
            raise InvalidInput("`by` says what a sample goes by: say `sample` too")
        if self.keys and not self.synthetic:
            raise InvalidInput("`keys` are for synthetic clones: say `synthetic` too")
        if self.source == self.target:
            raise InvalidInput(f"{self.source} cannot be cloned onto itself")
        self.share()

    def share(self) -> tuple[float | None, int | None]:
        """(share, rows) of the sample: one of them, or neither. Raises InvalidInput."""
        if not self.sample:
            return None, None
        text = self.sample.strip()
        try:
            if text.endswith("%"):
                percent = float(text[:-1])
                if 0 < percent <= 100:
                    return percent / 100, None
            elif (rows := int(text.replace("_", ""))) > 0:
                return None, rows
        except ValueError:
            pass
        raise InvalidInput(f"{self.sample!r} is no sample: write a share like 10% or a number of rows like 1000")

    @property
    def way(self) -> Way:
        """How it is made."""
        return "synthetic" if self.synthetic else "sampled" if self.sample else "shallow" if self.shallow else "deep"


@dataclass(frozen=True)
class Clone:
    """A table that was copied: from which version, how, how many rows, and what is to be known about it."""

    source: str
    source_version: int
    target: str
    version: int
    way: Way
    rows: int
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Clone":
        """From `to_dict`."""
        return cls(**{**body, "notes": tuple(body["notes"])})
