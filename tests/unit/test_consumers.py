"""The consumers of the bus, from their samples to their tables: each event reaches the decision that is meant for it.

That an event is consumed once is told in test_subscriber; here Powertools' first layer is switched off.
"""

import io
import json
from typing import Any

import pytest

import inventory.consumer
import notification.consumer
import notification.memory
import orders.consumer
import payment.consumer
from eventflow import telemetry
from eventflow.events import Line
from inventory.stock import Status as Stock
from orders.orders import Status, UnknownOrder
from payment.gateway import SimulatedGateway
from payment.payments import Status as Payment

from ..sam_template import ROOT
from .lambda_context import LambdaContext
from .memory_dynamodb import MemoryDynamoDB
from .saga_world import Choices, MemoryRows, World

pytestmark = pytest.mark.usefixtures("first_layer_off")


def sample(name: str) -> Any:
    return json.loads((ROOT / "events" / name).read_text())


ORDER_ID = sample("payment/order-created.json")["detail"]["orderId"]


@pytest.fixture
def world(monkeypatch):
    world = World({"espresso": 3}, Choices([]), set(), set(), set())
    monkeypatch.setattr(orders.consumer, "ORDERS", world.orders)
    monkeypatch.setattr(payment.consumer, "PAYMENTS", world.payments)
    monkeypatch.setattr(payment.consumer, "GATEWAY", gateway(world, 0))
    monkeypatch.setattr(inventory.consumer, "WAREHOUSE", world.reservations)
    monkeypatch.setattr(notification.memory, "dynamodb", MemoryDynamoDB())
    return world


def gateway(world: World, failure_rate: int) -> SimulatedGateway:
    return SimulatedGateway(MemoryRows(world, world.announcements.append), failure_rate)


def deliver(*names: str) -> None:
    services = {"orders": orders, "payment": payment, "inventory": inventory, "notification": notification}
    for name in names:
        services[name.partition("/")[0]].consumer.handler(sample(name), LambdaContext())


def announced(world: World) -> list[str]:
    return [announcement.detail_type for announcement in world.announcements]


def test_payment_charges_for_an_order_and_refunds_a_cancelled_one(world):
    deliver("payment/order-created.json")
    assert world.payments.kept[ORDER_ID].state.status is Payment.SUCCEEDED
    deliver("payment/order-cancelled.json")
    assert world.payments.kept[ORDER_ID].state.status is Payment.REFUNDED
    assert announced(world) == ["PaymentSucceeded", "PaymentRefunded"]


def test_payment_announces_what_it_charged_and_what_led_to_it(world):
    deliver("payment/order-created.json")
    created = sample("payment/order-created.json")["detail"]
    detail = json.loads(world.announcements[0].detail)
    assert (detail["amount"], detail["currency"]) == (created["totalPrice"], created["currency"])
    assert detail["metadata"]["causationId"] == created["metadata"]["eventId"]


def test_payment_announces_what_the_gateway_declines(world, monkeypatch):
    monkeypatch.setattr(payment.consumer, "GATEWAY", gateway(world, 100))
    deliver("payment/order-created.json", "payment/order-cancelled.json")
    assert world.payments.kept[ORDER_ID].state.status is Payment.FAILED
    assert announced(world) == ["PaymentFailed"]


def test_inventory_takes_an_order_out_of_stock_and_puts_a_cancelled_one_back(world):
    deliver("inventory/order-created.json")
    assert (world.reservations.kept[ORDER_ID].state.status, world.stock) == (Stock.RESERVED, {"espresso": 1})
    deliver("inventory/order-cancelled.json")
    assert (world.reservations.kept[ORDER_ID].state.status, world.stock) == (Stock.RELEASED, {"espresso": 3})
    assert announced(world) == ["InventoryReserved", "InventoryReleased"]


def test_inventory_reserves_nothing_of_an_order_that_it_is_short_of_one_product_for(world):
    deliver("inventory/order-created-of-several-products.json")
    assert world.stock == {"espresso": 3}
    assert announced(world) == ["InventoryFailed"]
    assert json.loads(world.announcements[0].detail)["availableQty"] == 0


@pytest.mark.parametrize(
    ("steps", "status", "reason"),
    [
        (["payment-succeeded"], Status.PAID, None),
        (["inventory-reserved"], Status.RESERVED, None),
        (["payment-succeeded", "inventory-reserved"], Status.CONFIRMED, None),
        (["inventory-reserved", "payment-succeeded"], Status.CONFIRMED, None),
        (["inventory-reserved", "payment-failed"], Status.PAYMENT_FAILED, "payment declined"),
        (["inventory-failed", "payment-succeeded"], Status.INVENTORY_FAILED, "out of stock"),
        (["fraud-check-failed"], Status.CANCELLED, "card reported stolen"),
        (["payment-succeeded", "inventory-reserved", "fraud-check-failed"], Status.CANCELLED, "card reported stolen"),
    ],
)
def test_orders_turns_what_became_of_the_steps_into_the_orders_fate(world, steps, status, reason):
    world.place(ORDER_ID, (Line(product_id="espresso", quantity=2),))
    world.pending.pop()()  # it is accepted

    deliver(*(f"orders/{step}.json" for step in steps))

    order = world.orders.kept[ORDER_ID].state
    assert (order.status, order.reason) == (status, reason)
    told = ["OrderConfirmed"] * (set(steps) >= {"payment-succeeded", "inventory-reserved"})
    told += ["OrderCancelled"] * status.is_off
    assert announced(world) == ["OrderCreated", *told]


@pytest.mark.parametrize("decisive", ["inventory-reserved", "inventory-failed", "fraud-check-failed"])
def test_an_orders_fate_names_the_event_that_led_to_it(world, decisive):
    world.place(ORDER_ID, (Line(product_id="espresso", quantity=2),))
    world.pending.pop()()
    deliver("orders/payment-succeeded.json", f"orders/{decisive}.json")

    event = sample(f"orders/{decisive}.json")
    known_as = event["detail"].get("metadata", {}).get("eventId", event["id"])
    assert json.loads(world.announcements[-1].detail)["metadata"]["causationId"] == known_as


def test_of_a_foreign_reason_an_order_keeps_as_much_as_fits(world):
    world.place(ORDER_ID, (Line(product_id="espresso", quantity=2),))
    world.pending.pop()()
    veto = sample("orders/fraud-check-failed.json")
    veto["detail"]["reason"] = "x" * 200_000

    orders.consumer.handler(veto, LambdaContext())

    assert world.orders.kept[ORDER_ID].state.reason == "x" * 500
    assert json.loads(world.announcements[-1].detail)["reason"] == "x" * 500


@pytest.mark.parametrize("step", ["payment-succeeded", "inventory-reserved", "payment-failed", "fraud-check-failed"])
def test_a_step_of_an_order_that_is_not_here_is_not_dropped_in_silence(world, step):
    with pytest.raises(UnknownOrder, match=ORDER_ID):
        deliver(f"orders/{step}.json")


TOLD = {
    "order-created": "2 piece(s)",
    "order-confirmed": "paid and reserved",
    "order-cancelled": "cancelled: out of stock.",
    "payment-refunded": "was refunded",
}


@pytest.mark.parametrize("name", TOLD)
def test_a_shopper_is_told_by_mail_where_there_is_an_address_and_in_the_log_in_any_case(world, monkeypatch, name):
    class Mail:
        def publish(self, **message: str) -> None:
            sent.append(message)

    sent: list[dict[str, str]] = []
    log = io.StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", log)
    deliver(f"notification/{name}.json")
    monkeypatch.setattr(notification.memory, "dynamodb", MemoryDynamoDB())  # it was told before an address was set
    monkeypatch.setattr(notification.consumer, "sns", Mail())
    monkeypatch.setattr(notification.consumer, "TOPIC_ARN", "topic")
    deliver(f"notification/{name}.json")

    (mail,) = sent
    assert mail["TopicArn"] == "topic"
    assert ORDER_ID in mail["Message"]
    assert TOLD[name] in mail["Message"]
    at = "12:00:01" if name == "payment-refunded" else "12:00:00"
    assert mail["Message"].endswith(f" That was on 31 January 2026 at {at} UTC.")
    assert mail["Subject"].isascii()
    assert len(mail["Subject"]) <= 100, "SNS takes no longer one"
    lines = [json.loads(line) for line in log.getvalue().splitlines() if "told the shopper" in line]
    assert [(line["subject"], line["orderId"]) for line in lines] == [(mail["Subject"], ORDER_ID)] * 2
