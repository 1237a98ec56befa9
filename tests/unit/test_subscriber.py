"""A consumer of the bus runs once for each event of its service, and never for one that breaks its contract."""

import hashlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from eventflow import subscriber as kernel
from eventflow.contracts import MalformedEvent, Received
from eventflow.events import OrderCancelled, OrderCreated, StepFailed

from .lambda_context import LambdaContext


class IdempotencyTable:
    """The calls that Powertools makes to DynamoDB, on rows that neither expire nor time out."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []

    def get_item(self, Key: dict[str, Any], TableName: str) -> dict[str, Any]:
        """At half the price of a consistent read."""
        self.calls.append("GetItem")
        found = self.rows.get(Key["id"]["S"])
        return {"Item": found} if found else {}

    def update_item(self, Key: dict[str, Any], ExpressionAttributeValues: dict[str, Any], **_: Any) -> None:
        self.calls.append("UpdateItem")
        self.rows.setdefault(Key["id"]["S"], dict(Key)).update(
            status=ExpressionAttributeValues[":status"],
            expiration=ExpressionAttributeValues[":expiry"],
            data=ExpressionAttributeValues[":response_data"],
        )


@pytest.fixture
def table(monkeypatch):
    table = IdempotencyTable()
    monkeypatch.setattr(kernel, "dynamodb", table)
    return table


def order_created(event_id: str | None = "e1", delivery: str = "d1", **detail: Any) -> dict[str, Any]:
    metadata = {"metadata": {"eventId": event_id, "occurredAt": 1_769_860_800_000}} if event_id else {}
    return {
        "id": delivery,
        "source": "eventflow.orders",
        "detail-type": "OrderCreated",
        "time": "2026-01-31T12:00:00Z",
        "detail": {"orderId": "o1", "userId": "ada", "productId": "mug", "quantity": 1, **metadata, **detail},
    }


def veto(delivery: str, **detail: Any) -> dict[str, Any]:
    return {
        "id": delivery,
        "source": "fraud",
        "detail-type": "FraudCheckFailed",
        "time": "2026-01-31T12:00:00Z",
        "detail": {"orderId": "o1", **detail},
    }


class Consumer:
    """Counts what it is handed, and fails as often as it is told to."""

    def __init__(self, service: str = "payment", failures: int = 0) -> None:
        self.received: list[Received[Any]] = []
        self.meanwhile: list[Callable[[], None]] = []
        """What happens while an event is handled; each once."""

        def consume(received: Received[Any]) -> None:
            self.received.append(received)
            failing = len(self.received) <= failures
            if self.meanwhile:
                self.meanwhile.pop()()
            if failing:
                raise ConnectionError("the gateway is away")

        consume.__module__ = f"{service}.consumer"
        self._handler: Callable[[Any, Any], None] = kernel.subscriber(OrderCreated, OrderCancelled, StepFailed)(consume)

    def __call__(self, event: Any) -> None:
        self._handler(event, LambdaContext())

    @property
    def event_ids(self) -> list[str]:
        return [received.event_id for received in self.received]


def test_an_event_delivered_or_published_twice_is_consumed_once(table):
    payment = Consumer()
    for delivery in ("d1", "d1", "d2"):
        payment(order_created("e1", delivery))
    assert payment.event_ids == ["e1"]
    assert payment.received[0].fact.order_id == "o1"


def test_events_of_other_identity_are_consumed_however_alike_they_are(table):
    payment = Consumer()
    for event_id in ("e1", "e2"):
        payment(order_created(event_id))
    assert payment.event_ids == ["e1", "e2"]


def test_an_event_that_has_anothers_identity_is_still_heard(table):
    payment = Consumer()
    payment(order_created("e1"))
    payment({**order_created("e1", reason="changed her mind"), "detail-type": "OrderCancelled"})
    assert [type(received.fact) for received in payment.received] == [OrderCreated, OrderCancelled]


def test_an_event_without_metadata_is_known_by_eventbridges_id(table):
    payment = Consumer()
    for delivery in ("d1", "d1", "d2"):
        payment(order_created(None, delivery))
    assert payment.event_ids == ["d1", "d2"]


@pytest.mark.parametrize("metadata", [None, "text", 7, [], {}, {"eventId": ""}, {"eventId": 7}, {"occurredAt": "x"}])
def test_a_veto_whose_metadata_are_of_no_use_is_consumed_once_by_eventbridges_id(table, metadata):
    orders = Consumer("orders")
    for delivery in ("d1", "d1", "d2"):
        orders(veto(delivery, metadata=metadata))
    assert orders.event_ids == ["d1", "d2"]


def test_a_veto_that_says_who_it_is_and_not_when_is_consumed_once_under_its_own_id(table):
    orders = Consumer("orders")
    for delivery in ("d1", "d2"):
        orders(veto(delivery, metadata={"eventId": "e1"}))
    assert orders.event_ids == ["e1"]


def test_vetoes_of_two_orders_are_both_consumed_though_their_producer_gives_them_one_id(table):
    orders = Consumer("orders")
    for delivery, order in (("d1", "o1"), ("d2", "o2"), ("d3", "o2")):
        orders(veto(delivery, orderId=order, metadata={"eventId": "fraud-check"}))
    assert len(orders.received) == 2


def test_a_veto_as_deep_as_eventbridge_takes_is_consumed(table):
    deep: Any = {}
    for _ in range(1_000):
        deep = {"within": deep}
    orders = Consumer("orders")
    orders(veto("d1", evidence=deep))
    assert orders.event_ids == ["d1"]


def test_an_exception_lets_the_event_come_again(table):
    payment = Consumer(failures=1)
    with pytest.raises(ConnectionError, match="the gateway is away"):
        payment(order_created())
    payment(order_created())
    payment(order_created())
    assert payment.event_ids == ["e1", "e1"]


def test_an_event_costs_one_read_and_one_write_and_its_repetition_one_read(table):
    payment = Consumer()
    payment(order_created())
    assert table.calls == ["GetItem", "UpdateItem"]
    payment(order_created())
    assert table.calls == ["GetItem", "UpdateItem", "GetItem"]


def test_two_deliveries_at_once_are_both_handled_and_the_event_is_known_afterwards(table):
    # given: its writes are conditional, one of the two changes nothing
    payment = Consumer()
    payment.meanwhile = [lambda: payment(order_created())]
    # when
    payment(order_created())
    payment(order_created())
    # then
    assert payment.event_ids == ["e1", "e1"]


def test_a_delivery_that_fails_leaves_the_record_of_another_one_that_did_not(table):
    payment = Consumer(failures=1)
    payment.meanwhile = [lambda: payment(order_created())]
    with pytest.raises(ConnectionError):
        payment(order_created())
    payment(order_created())
    assert payment.event_ids == ["e1", "e1"]


def test_what_a_release_before_was_killed_at_is_handled(table):
    # given: its record says "in progress", and nobody will end it
    Consumer()(order_created())
    (record,) = table.rows.values()
    record["status"] = {"S": "INPROGRESS"}
    # when
    payment = Consumer()
    payment(order_created())
    # then
    assert payment.event_ids == ["e1"]
    assert record["status"] == {"S": "COMPLETED"}


def test_services_that_hear_one_event_each_consume_it(table):
    payment, inventory = Consumer("payment"), Consumer("inventory")
    payment(order_created())
    inventory(order_created())
    assert payment.event_ids == inventory.event_ids == ["e1"]
    assert len(table.rows) == 2


def test_a_release_that_moves_a_consumer_within_its_service_still_knows_its_events(table):
    Consumer("payment")(order_created())
    (key,) = table.rows
    identity = hashlib.md5(b'["eventflow.orders", "OrderCreated", "e1"]').hexdigest()
    assert key == f"payment#{identity}"


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        (order_created(quantity=0), r"at `\$\.detail\.quantity`"),
        (order_created(version="9.0"), "'9.0'"),
        (
            order_created() | {"detail-type": "OrderConfirmed"},
            "OrderConfirmed of eventflow.orders is not accepted here",
        ),
        (order_created(None, delivery=""), r"at `\$\.id`"),
        ({}, "missing required field `id`"),
    ],
)
def test_a_malformed_event_raises_before_anything_is_written(table, event, complaint):
    payment = Consumer()
    with pytest.raises(MalformedEvent, match=complaint):
        payment(event)
    assert (payment.received, table.calls) == ([], [])


def test_a_consumed_event_is_remembered_for_longer_than_an_archive_replays(table):
    Consumer()(order_created())
    (record,) = table.rows.values()
    assert record["status"] == {"S": "COMPLETED"}
    assert int(record["expiration"]["N"]) - time.time() > 29 * 24 * 60 * 60
