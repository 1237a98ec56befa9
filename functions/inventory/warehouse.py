"""Where stock and reservations are kept: whatever moves stock is one transaction with the stock that it moves."""

from __future__ import annotations

from typing import Any

from eventflow import clock
from eventflow.attributes import from_attributes
from eventflow.contracts import ProductId
from eventflow.events import ShortLine
from eventflow.keys import Use
from eventflow.once import Keys
from eventflow.outbox import Announcement
from eventflow.store import REFUSED, Table, count_written, dynamodb, transact
from eventflow.transition import Busy, LostRace, Patience
from inventory.stock import BelowZero, OutOfStock, Reservation, StockLevel


def move(table: str, product_id: ProductId, by: int) -> dict[str, Any]:
    """The write that adds to a product's stock, or takes from it what must be there; it makes the row if need be."""
    update: dict[str, Any] = {
        "TableName": table,
        "Key": {"productId": {"S": product_id}},
        "UpdateExpression": "ADD availableQty :by SET updatedAt = :now",
        "ExpressionAttributeValues": {":by": {"N": str(by)}, ":now": {"N": str(clock.now())}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    if by < 0:
        update["ConditionExpression"] = "availableQty >= :needed"
        update["ExpressionAttributeValues"][":needed"] = {"N": str(-by)}
    return {"Update": update}


def available(reason: dict[str, Any]) -> int:
    """How much there was, where it was not enough."""
    return int(reason.get("Item", {}).get("availableQty", {"N": "0"})["N"])


class StockLevels:
    """How much of each product there is to be reserved."""

    def __init__(self, table: str, keys: Keys) -> None:
        self._table = table
        self._keys = keys

    def read(self, product_id: ProductId) -> StockLevel | None:
        found = dynamodb.get_item(TableName=self._table, Key={"productId": {"S": product_id}}, ConsistentRead=True)
        return from_attributes(found["Item"], StockLevel) if "Item" in found else None

    def adjust(self, product_id: ProductId, by: int, use: Use) -> None:
        """Move a product's stock, once for the key. Raises BelowZero, AlreadyUsed, KeyReused, Contended."""
        patience = Patience(f"stock of product {product_id}")
        while True:
            try:
                reasons = transact([self._keys.first(use), move(self._table, product_id, by)])
            except Busy:
                patience.wait()
                continue
            if reasons:
                self._keys.raise_for(use, reasons[0])
                raise BelowZero(f"there are {available(reasons[1])} of product {product_id}, which is less than {-by}")
            return


class Warehouse(Table[Reservation]):
    """`Rows` of reservations, in another table than stock levels."""

    def __init__(self, reservations_table: str, inventory_table: str) -> None:
        super().__init__(reservations_table, "orderId", Reservation)
        self._inventory_table = inventory_table

    def write(self, key: str, state: Reservation, revision: int, announcement: Announcement | None) -> None:
        """As `Rows.write`, moving stock along. Raises OutOfStock where a move would take it below zero."""
        moves = state.stock_moves
        if not moves:
            super().write(key, state, revision, announcement)
            return
        writes = [
            {"Put": self.put(state, revision, announcement)},
            *(move(self._inventory_table, product_id, by) for product_id, by in moves.items()),
        ]
        if reasons := transact(writes):
            if reasons[0]["Code"] == REFUSED:
                raise LostRace(self.stored(reasons[0].get("Item")))
            raise OutOfStock(
                tuple(
                    ShortLine(product_id=product_id, quantity=-by, available_qty=available(reason))
                    for (product_id, by), reason in zip(moves.items(), reasons[1:], strict=True)
                    if reason["Code"] == REFUSED
                )
            )
        count_written(announcement)
