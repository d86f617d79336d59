"""Named online stores, for the client's methods of these names."""

from typing import Any

from boathouse.context import Context
from boathouse.feature_engineering.absent import given
from boathouse.features import OnlineStoreInfo


class NamedStores:
    """Makes, shows, changes and deletes the online stores of the client's environment."""

    _context: Context

    def create_online_store(self, *, name: str, capacity: str, read_replica_count: int | None = None,
                            usage_policy_id: str | None = None, url: str | None = None) -> OnlineStoreInfo:  # fmt: skip
        """A named store: with `url`, `embedded` or at a Redis server; else where the environment's default store is.

        `capacity` (CU_1, CU_2, CU_4, CU_8) and `read_replica_count` are kept and size nothing; `usage_policy_id` is not kept.
        Needs MANAGE on the environment. Raises AlreadyExists, InvalidInput, NotPermitted, and Unavailable where nothing answers.
        """
        body = {"name": name, "capacity": capacity, "read_replica_count": given(read_replica_count), "url": url}
        return OnlineStoreInfo.from_dict(self._context.call("POST", self._stores(), body))

    def get_online_store(self, *, name: str) -> OnlineStoreInfo:
        """A store, `default` being the environment's own. Raises NotFound."""
        return OnlineStoreInfo.from_dict(self._context.call("GET", self._stores(name)))

    def list_online_stores(self) -> list[OnlineStoreInfo]:
        """All stores of the environment, the default one first."""
        found: list[dict[str, Any]] = self._context.call("GET", self._stores())
        return [OnlineStoreInfo.from_dict(store) for store in found]

    def update_online_store(self, *, name: str, capacity: str | None = None, read_replica_count: int | None = None,
                            usage_policy_id: str | None = None) -> OnlineStoreInfo:  # fmt: skip
        """Keep other sizes. Raises NotFound, InvalidInput, NotPermitted."""
        body = {"capacity": given(capacity), "read_replica_count": given(read_replica_count)}
        return OnlineStoreInfo.from_dict(self._context.call("PATCH", self._stores(name), body))

    def delete_online_store(self, *, name: str, force: bool = False) -> None:
        """Forget a store. Raises NotFound, and Conflict while tables are published there; with `force` they go with it."""
        self._context.call("DELETE", f"{self._stores(name)}?force={str(force).lower()}")

    def _stores(self, name: str | None = None) -> str:
        return "/".join(part for part in ("/api/v1/online-stores", self._context.environment, name) if part)
