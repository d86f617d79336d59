"""Registered Python functions: features computed on demand. The catalog keeps their code and never runs it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa

from boathouse import clock, names
from boathouse.catalog.service import Catalog
from boathouse.catalog.store import functions as kept
from boathouse.catalog.values import Column
from boathouse.database import Database
from boathouse.errors import AlreadyExists, InvalidInput, NotFound
from boathouse.identity import Identity
from boathouse.lake import type_named


@dataclass(frozen=True)
class FunctionInfo:
    """A function: `source` is Python text that defines `entry`; its parameters in order, the type it returns."""

    name: str
    parameters: tuple[Column, ...]
    returns: str
    source: str
    entry: str
    comment: str = ""
    version: int = 1
    owner: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "FunctionInfo":
        """From `to_dict`."""
        return cls(**{**body, "parameters": tuple(Column(**p) for p in body["parameters"])})

    def check(self) -> None:
        """Raises InvalidInput for code that is no Python, an entry it does not define, or an unknown type."""
        try:
            compiled = compile(self.source, self.name, "exec")
        except (SyntaxError, ValueError) as error:
            raise InvalidInput(f"the function {self.name} is no Python: {error}") from error
        if self.entry not in compiled.co_names:
            raise InvalidInput(f"the code of {self.name} defines no {self.entry!r}")
        for kind in (*(p.type for p in self.parameters), self.returns):
            type_named(kind)
        if len({p.name for p in self.parameters}) < len(self.parameters):
            raise InvalidInput(f"two parameters of {self.name} share a name")


class Functions:
    """Functions under `environment.schema.function`; each change is a new version, so an old model's code can be told."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    def create(self, identity: Identity, function: FunctionInfo, or_replace: bool = False,
               force: bool = False) -> FunctionInfo:  # fmt: skip
        """Register a function, or a new version of it. Needs CREATE FUNCTION on the schema, MANAGE to replace.

        Raises AlreadyExists, InvalidInput, and Conflict when one in use would be replaced, unless forced.
        """
        function = replace(function, name=str(names.parse(function.name)))
        function.check()
        newest = self._newest(function.name)
        if newest:
            if not or_replace:
                raise AlreadyExists(f"the function {function.name} exists already; replace=True (--replace) makes a new version")
            self._catalog.access.authorize(identity, "MANAGE", "function", function.name)
            if not _same(newest["definition"], function):
                self._catalog.protection.check(identity, "replace function", "function", function.name, force=force)
        with self._database.writing() as connection:
            self._catalog.register(identity, "function", function.name, "CREATE FUNCTION", function.comment)
            made = replace(function, version=newest["version"] + 1 if newest else 1)
            connection.execute(
                kept.insert().values(
                    name=made.name, version=made.version, definition=made.to_dict(), created_at=clock.now(),
                    created_by=identity.principal,
                )
            )  # fmt: skip
            self._catalog.audit.write(connection, identity.principal, "define function", made.name, {"version": made.version})
        return self.function(identity, made.name)

    def function(self, identity: Identity, name: str, version: int | None = None) -> FunctionInfo:
        """A function with its code; needs EXECUTE. Raises NotFound."""
        self._catalog.access.authorize(identity, "EXECUTE", "function", name)
        owner = self._catalog.require("function", name).owner
        row = self._newest(name, version)
        if row is None:
            if version:
                raise NotFound(f"{name} has no version {version}")
            told = f"no function is named {name}; `boathouse functions list` shows those there are"
            raise NotFound(told, kind="function", name=name)
        return replace(FunctionInfo.from_dict(row["definition"]), owner=owner)

    def functions(self, identity: Identity, environment: str | None = None) -> list[FunctionInfo]:
        """The functions that the identity may execute, by name."""
        with self._database.reading() as connection:  # feature specs are securables of the kind, too, and have no row
            known = connection.execute(sa.select(kept.c.name).distinct().order_by(kept.c.name)).scalars().all()
        wanted = [name for name in known if environment in (None, name.partition(".")[0])]
        return [self.function(identity, n) for n in wanted if self._catalog.access.allows(identity, "EXECUTE", "function", n)]

    def drop(self, identity: Identity, name: str, force: bool = False) -> None:
        """Forget a function; needs MANAGE. Raises Conflict for one in use, unless forced: models that carry its code work on."""
        self._catalog.require("function", name)
        self._catalog.access.authorize(identity, "MANAGE", "function", name)
        self._catalog.protection.check(identity, "drop function", "function", name, force=force)
        with self._database.writing() as connection:
            self._catalog.unregister(identity, "function", name)
            connection.execute(kept.delete().where(kept.c.name == name))

    def _newest(self, name: str, version: int | None = None) -> Any:
        query = sa.select(kept).where(kept.c.name == name).order_by(kept.c.version.desc()).limit(1)
        if version is not None:
            query = query.where(kept.c.version == version)
        with self._database.reading() as connection:
            return connection.execute(query).mappings().first()


def _same(definition: Mapping[str, Any], function: FunctionInfo) -> bool:
    """Whether it computes what it did: a comment changes nothing for those who use it."""
    known = FunctionInfo.from_dict(definition)
    return replace(known, comment="", version=1, owner="") == replace(function, comment="", version=1, owner="")
