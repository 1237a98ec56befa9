"""What a usual order's rows weigh: DynamoDB bills a write by the KB that is begun, and 1,025 bytes are two."""

import uuid

import pytest

from cost.weight import weight, write_units
from eventflow.attributes import Attributes
from eventflow.contracts import Received
from eventflow.events import InventoryReserved, Line, PaymentSucceeded, Shipping, StepFailed
from eventflow.outbox import announce
from eventflow.prices import Quote
from eventflow.store import Table
from eventflow.transition import Change
from orders import orders
from orders.orders import Order

ORDERS = Table("OrdersTable", "orderId", Order)
NOW = 1_795_176_123_456
ORDER, USER, CAUSE = (str(uuid.uuid4()) for _ in range(3))
LINE = Line(product_id="reading-lamp", quantity=12, unit_price=149_900)
QUOTE = Quote(items=(LINE,), total_price=1_798_800, currency="USD")
SHIPPING = Shipping(first_name="Ada", last_name="Lovelace", email="ada@example.com", address="12 St James's Square")
PAID = PaymentSucceeded(order_id=ORDER, user_id=USER, payment_id=str(uuid.uuid4()), amount=1_798_800, currency="USD")
RESERVED = InventoryReserved(order_id=ORDER, user_id=USER, items=(LINE,))


@pytest.fixture(autouse=True)
def _traced(monkeypatch):
    root, parent = "1-697df080-3f1c0a52b7d94e6681c2d5a7", "53995c3f42cd8ad8"
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={root};Parent={parent};Sampled=1")


def written(change: Change[Order], revision: int) -> Attributes:
    """The row that a change makes, with the event that it announces."""
    cause = Received(fact=PAID, source="s", detail_type="t", version="1.0", event_id=CAUSE, occurred_at=NOW)
    announcement = announce(change.fact, cause if revision > 1 else None) if change.fact else None
    item: Attributes = ORDERS.put(change.state, revision, announcement)["Item"]
    return item


def life(*steps: str, shipping: Shipping | None = None) -> list[Attributes]:
    """The rows of an order, as each of these steps leaves it."""
    change = orders.accept(ORDER, USER, QUOTE, now=NOW, shipping=shipping)
    rows = [written(change, 1)]
    for revision, step in enumerate(steps, start=2):
        order = change.state
        decided = {
            "paid": lambda order=order: orders.step_done(order, PAID, NOW),
            "reserved": lambda order=order: orders.step_done(order, RESERVED, NOW),
            "sold out": lambda order=order: orders.step_failed(
                order, StepFailed(order_id=ORDER, reason="out of stock"), "InventoryFailed", NOW
            ),
            "cancelled": lambda order=order: orders.cancel(order, USER, NOW),
        }[step]()
        assert decided
        change = decided
        rows.append(written(change, revision))
    return rows


LIVES = [("paid", "reserved"), ("reserved", "paid", "cancelled"), ("sold out",), ("paid", "sold out"), ("cancelled",)]


@pytest.mark.parametrize("steps", LIVES, ids=" ".join)
def test_every_row_of_a_usual_order_is_one_write_unit(steps):
    weights = [weight(row) for row in life(*steps)]
    assert max(weights) <= 1024, weights


# A basket's order has its address in each row, and how long that is decides. One that its shopper cancels is the
# heaviest: 1,032 bytes with the short address above.
OF_A_BASKET = [steps for steps in LIVES if "cancelled" not in steps]


@pytest.mark.parametrize(
    ("steps", "shipping"), [(steps, None) for steps in LIVES] + [(steps, SHIPPING) for steps in OF_A_BASKET]
)
def test_when_an_order_was_changed_last_costs_no_write_unit(steps, shipping):
    for row in life(*steps, shipping=shipping):
        assert row["updatedAt"] == {"N": str(NOW)}
        before = {name: value for name, value in row.items() if name != "updatedAt"}
        assert write_units(row) == write_units(before), f"{weight(row)} bytes of {row['status']}"
