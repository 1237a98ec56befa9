"""Where stock and reservations are kept: a reservation and the stock that it moves are one transaction."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from eventflow.attributes import from_attributes, to_attributes
from eventflow.events import ShortLine
from eventflow.outbox import Announcement
from eventflow.store import Table, count_written, dynamodb
from eventflow.transition import LostRace
from inventory.stock import OutOfStock, Reservation, StockLevel

CONFLICT_ATTEMPTS = 8
"""Writes of one item refuse each other while a transaction has it in hand; in a rush for a product, several times."""


def waiting_out_conflicts(write: Callable[[], object]) -> None:
    """Make a write, again where a transaction stood in its way: boto does not. Raises what else refuses it."""
    for attempt in range(1, CONFLICT_ATTEMPTS + 1):
        try:
            write()
            return
        except (
            dynamodb.exceptions.TransactionConflictException,
            dynamodb.exceptions.TransactionCanceledException,
        ) as refused:
            if attempt == CONFLICT_ATTEMPTS or "TransactionConflict" not in _codes(refused.response):
                raise
            time.sleep(random.uniform(0, 0.05 * 2**attempt))


def _codes(response: Any) -> set[str]:
    """Why each write of a transaction was refused; of a plain write, which has no transaction, that it conflicts."""
    return {reason["Code"] for reason in response.get("CancellationReasons", [{"Code": "TransactionConflict"}])}


class StockLevels:
    """How much of each product there is to be reserved."""

    def __init__(self, table: str) -> None:
        self._table = table

    def read(self, product_id: str) -> StockLevel | None:
        found = dynamodb.get_item(TableName=self._table, Key={"productId": {"S": product_id}}, ConsistentRead=True)
        return from_attributes(found["Item"], StockLevel) if "Item" in found else None

    def write(self, level: StockLevel) -> None:
        waiting_out_conflicts(lambda: dynamodb.put_item(TableName=self._table, Item=to_attributes(level)))


class Warehouse(Table[Reservation]):
    """`Rows` of reservations, in a table beside that of stock levels."""

    def __init__(self, reservations_table: str, inventory_table: str) -> None:
        super().__init__(reservations_table, "orderId", Reservation)
        self._inventory_table = inventory_table

    def write(self, key: str, state: Reservation, revision: int, announcement: Announcement | None) -> None:
        """As `Rows.write`, moving stock along. Raises OutOfStock where a move would take it below zero."""
        moves = state.stock_moves
        if not moves:
            waiting_out_conflicts(lambda: super(Warehouse, self).write(key, state, revision, announcement))
            return
        writes = [
            {"Put": self.put(state, revision, announcement)},
            *({"Update": self._move(product_id, by)} for product_id, by in moves.items()),
        ]
        reasons = self._transact(writes)
        if reasons[0]["Code"] == "ConditionalCheckFailed":
            raise LostRace(self.stored(reasons[0].get("Item")))
        short = tuple(
            ShortLine(product_id=product_id, quantity=-by, available_qty=self._available(reason))
            for (product_id, by), reason in zip(moves.items(), reasons[1:], strict=True)
            if reason["Code"] == "ConditionalCheckFailed"
        )
        if short:
            raise OutOfStock(short)
        count_written(announcement)

    def _move(self, product_id: str, by: int) -> dict[str, Any]:
        update: dict[str, Any] = {
            "TableName": self._inventory_table,
            "Key": {"productId": {"S": product_id}},
            "UpdateExpression": "ADD availableQty :by",
            "ExpressionAttributeValues": {":by": {"N": str(by)}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if by < 0:
            update["ConditionExpression"] = "availableQty >= :needed"
            update["ExpressionAttributeValues"][":needed"] = {"N": str(-by)}
        return update

    @staticmethod
    def _available(reason: dict[str, Any]) -> int:
        return int(reason.get("Item", {}).get("availableQty", {"N": "0"})["N"])

    @staticmethod
    def _transact(writes: list[Any]) -> list[dict[str, Any]]:
        """One reason per write why a condition refused the transaction, each `{"Code": "None"}` where it did not."""
        try:
            waiting_out_conflicts(lambda: dynamodb.transact_write_items(TransactItems=writes))
        except dynamodb.exceptions.TransactionCanceledException as cancelled:
            if _codes(cancelled.response) - {"None"} != {"ConditionalCheckFailed"}:
                raise
            reasons: list[Any] = list(cancelled.response["CancellationReasons"])
            return reasons
        return [{"Code": "None"}] * len(writes)
