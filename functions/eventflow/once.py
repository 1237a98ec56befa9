"""Writes that are made once for a client's Idempotency-Key.

The key is a row of its own, in the table of Powertools' records, and kept as long as they are. It is written in the
transaction that fulfils the request, under the condition that it is not there. (POST /orders needs none: an order's id
is derived from its key, and its row stays.)
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from eventflow import clock
from eventflow.keys import Use
from eventflow.outbox import Announcement
from eventflow.store import REFUSED, Table, count_written, transact
from eventflow.transition import LostRace, Stored

S = TypeVar("S")


class Keys(Table[Use]):
    """The uses that were made of keys."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "id", Use)

    def check(self, use: Use) -> None:
        """Raises AlreadyUsed, KeyReused."""
        earlier = self.read(use.id)
        if earlier and earlier.state.expiration > clock.now() // 1000:
            use.refuse_after(earlier.state)

    def first(self, use: Use) -> dict[str, Any]:
        """The write that keeps the first use of a key, for a transaction; `raise_for` says what its refusal means."""
        put = self.put(use, 1, None)
        put["ConditionExpression"] += " OR expiration <= :now"
        put["ExpressionAttributeValues"] = {":now": {"N": str(clock.now() // 1000)}}
        return {"Put": put}

    def raise_for(self, use: Use, reason: dict[str, Any]) -> None:
        """Raises AlreadyUsed or KeyReused, if that is why the transaction was refused."""
        if reason["Code"] == REFUSED and (earlier := self.stored(reason.get("Item"))):
            use.refuse_after(earlier.state)


class Once(Generic[S]):
    """`Rows` of a table, one write of which is also the one use of a key."""

    def __init__(self, table: Table[S], keys: Keys, use: Use) -> None:
        self._table = table
        self._keys = keys
        self._use = use

    def read(self, key: str) -> Stored[S] | None:
        return self._table.read(key)

    def write(self, key: str, state: S, revision: int, announcement: Announcement | None) -> None:
        """As `Rows.write`. Raises AlreadyUsed and KeyReused, too."""
        row = {"Put": self._table.put(state, revision, announcement)}
        if reasons := transact([self._keys.first(self._use), row]):
            self._keys.raise_for(self._use, reasons[0])
            raise LostRace(self._table.stored(reasons[1].get("Item")))
        count_written(announcement)
