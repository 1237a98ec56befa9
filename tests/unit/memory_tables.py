"""The tables behind the HTTP API, in memory."""

from dataclasses import dataclass, field

from eventflow.attributes import Attributes, from_attributes
from eventflow.events import Line
from eventflow.outbox import Announcement
from eventflow.transition import LostRace, Stored
from inventory.stock import StockLevel
from orders.http import Position
from orders.orders import Order, Status


@dataclass
class MemoryOrders:
    kept: dict[str, Stored[Order]] = field(default_factory=dict)
    announced: list[Announcement] = field(default_factory=list)

    def read(self, key: str) -> Stored[Order] | None:
        assert len(key.encode()) <= 2048, "DynamoDB refuses a longer key"
        return self.kept.get(key)

    def write(self, key: str, state: Order, revision: int, announcement: Announcement | None) -> None:
        current = self.kept.get(key)
        if (current.revision if current else 0) != revision - 1:
            raise LostRace(current)
        self.kept[key] = Stored(state, revision)
        self.announced += [announcement] if announcement else []

    def page(
        self, index: str, partition: tuple[str, str], limit: int, after: Attributes | None = None
    ) -> tuple[list[Order], bool]:
        assert (index, partition[0]) == ("byUser", "userId")
        ends = (from_attributes(after, Position),) if after else ()
        found = sorted(
            (it.state for it in self.kept.values() if it.state.user_id == partition[1]),
            key=lambda order: (order.created_at, order.order_id),
            reverse=True,
        )
        found = [it for it in found if all((it.created_at, it.order_id) < (e.created_at, e.order_id) for e in ends)]
        return found[:limit], len(found) > limit

    def has(self, order_id: str, status: Status = Status.PENDING, user_id: str = "ada", minute: int = 0) -> None:
        order = Order(
            order_id=order_id,
            user_id=user_id,
            items=(Line(product_id="mug", quantity=1),),
            status=status,
            created_at=f"2026-01-31T12:{minute:02}:00.000+00:00",
        )
        self.kept[order_id] = Stored(order, 1)


@dataclass
class MemoryLevels:
    kept: dict[str, StockLevel] = field(default_factory=dict)

    def read(self, product_id: str) -> StockLevel | None:
        assert len(product_id.encode()) <= 2048, "DynamoDB refuses a longer key"
        return self.kept.get(product_id)

    def write(self, level: StockLevel) -> None:
        self.kept[level.product_id] = level
