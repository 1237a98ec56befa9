"""Baskets that were checked out become orders: each once, and none held up by one that cannot."""

import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

from eventflow.events import BasketCheckedOut, Line, Shipping
from eventflow.outbox import announce
from orders import checkouts
from orders.checkouts import ORDERS
from orders.orders import Status

from .api_gateway import call
from .bus import delivered
from .lambda_context import LambdaContext
from .memory_dynamodb import MemoryDynamoDB

SHIPPING = Shipping(
    first_name="Augusta", last_name="Lovelace", email="ada.lovelace@example.com", address="12 St James's Square"
)
PERSONAL = ("Augusta", "Lovelace", "ada.lovelace", "St James")
MUGS = Line(product_id="mug", quantity=3, unit_price=1250)
LAMP = Line(product_id="lamp", quantity=1, unit_price=4000)


def checkout(name: str, *lines: Line, user_id: str = "ada") -> dict[str, Any]:
    """A basket's checkout, as EventBridge hands it to the queue."""
    lines = lines or (MUGS, LAMP)
    fact = BasketCheckedOut(
        checkout_id=name,
        user_id=user_id,
        items=lines,
        total_price=sum(line.unit_price * line.quantity for line in lines if line.unit_price is not None),
        currency="USD",
        shipping=SHIPPING,
    )
    return delivered(announce(fact))


def record(message: str, body: Any) -> dict[str, Any]:
    return {
        "messageId": message,
        "receiptHandle": f"receipt of {message}",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:checkouts",
        "awsRegion": "us-east-1",
    }


def take(*bodies: Any) -> list[str]:
    """Hand a batch to the function, its messages named m0, m1...; returns those that come again."""
    batch = {"Records": [record(f"m{n}", body) for n, body in enumerate(bodies)]}
    try:
        answer = checkouts.handler(batch, LambdaContext())
    except BatchProcessingError:
        return [message["messageId"] for message in batch["Records"]]
    assert answer.keys() == {"batchItemFailures"}
    assert len(answer["batchItemFailures"]) < len(bodies), "Lambda would count no error"
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def orders_in(db: MemoryDynamoDB) -> set[str]:
    return set(db.rows["OrdersTable"])


def log_lines(logged: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in logged.splitlines() if line.startswith('{"level"')]


# What becomes of one


def test_a_checkout_becomes_an_order_at_the_prices_that_the_basket_showed(db):
    db.sells("mug", 9900)  # by now; that is not what she saw
    event = checkout("c1")

    assert take(event) == []

    order = db.stored(ORDERS, "c1").state
    assert (order.order_id, order.user_id, order.status) == ("c1", "ada", Status.PENDING)
    assert (order.items, order.total_price, order.currency) == ((MUGS, LAMP), 7750, "USD")
    assert order.shipping == SHIPPING
    assert order.created_at == event["detail"]["timestamp"], "when she checked out, not when we got to it"
    assert call("GET", "/orders/c1").body["shipping"]["lastName"] == "Lovelace"


@pytest.mark.parametrize(("lines", "version"), [((MUGS,), "1.0"), ((MUGS, LAMP), "2.0")])
def test_its_saga_begins_with_an_event_that_names_what_led_to_it(db, lines, version):
    event = checkout("c1", *lines)
    take(event)
    (created,) = db.announcements
    detail = json.loads(created.detail)
    assert (created.detail_type, detail["version"], detail["orderId"]) == ("OrderCreated", version, "c1")
    assert detail["totalPrice"] == event["detail"]["totalPrice"]
    assert detail["metadata"]["correlationId"] == "c1"
    assert detail["metadata"]["causationId"] == event["detail"]["metadata"]["eventId"]


def test_a_checkout_that_comes_again_is_one_order(db):
    event = checkout("c1")
    assert take(event, event) == []
    call("POST", "/orders/c1/cancel")
    assert take(event) == []
    assert db.stored(ORDERS, "c1").state.status is Status.CANCELLED
    assert db.told == ["OrderCreated", "OrderCancelled"]


def test_a_checkout_handled_twice_at_once_is_one_order(db):
    event = checkout("c1")
    db.meanwhile = [lambda: take(event)]
    assert take(event) == []
    assert (orders_in(db), db.told) == ({"c1"}, ["OrderCreated"])


@pytest.mark.parametrize("other", [checkout("c1", LAMP), checkout("c1", user_id="bob")])
def test_another_basket_under_the_id_of_an_order_does_not_vanish_without_a_word(db, other):
    take(checkout("c1"))
    assert take(other) == ["m0"]
    assert db.told == ["OrderCreated"]


# What becomes of many

POISON = {
    "not JSON": "poison",
    "no event": "[]",
    "another event": {**checkout("c4"), "detail-type": "OrderCreated"},
    "no address": (lambda event: {**event, "detail": {**event["detail"], "shipping": {}}})(checkout("c4")),
    "a version of the future": (lambda event: {**event, "detail": {**event["detail"], "version": "2.0"}})(
        checkout("c4")
    ),
    "an e-mail that is none": (
        lambda event: {**event, "detail": {**event["detail"], "shipping": {"email": "ada.lovelace"}}}
    )(checkout("c4")),
    "an order that the database refuses": checkout("c4"),
}


@pytest.fixture
def refusing_c4(db: MemoryDynamoDB) -> MemoryDynamoDB:
    db.broken = lambda operation, key: key == "c4"
    return db


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
def test_one_of_ten_that_cannot_be_handled_comes_again_without_the_others(refusing_c4, poison):
    bodies = [checkout(f"c{n}") for n in range(10)]
    bodies[4] = poison

    assert take(*bodies) == ["m4"]

    assert orders_in(refusing_c4) == {f"c{n}" for n in range(10) if n != 4}
    assert refusing_c4.told == ["OrderCreated"] * 9


def test_a_batch_none_of_which_can_be_handled_comes_again_whole_and_counts_as_an_error(db):
    with pytest.raises(BatchProcessingError):
        checkouts.handler({"Records": [record("m0", "poison"), record("m1", "poison")]}, LambdaContext())
    assert take("poison", "poison") == ["m0", "m1"]


def test_one_that_failed_is_an_order_once_the_fault_is_fixed(refusing_c4):
    event = checkout("c4")
    assert take(event) == ["m0"]
    refusing_c4.broken = lambda operation, key: False
    assert take(event) == []
    assert orders_in(refusing_c4) == {"c4"}


def test_a_batch_forgets_what_failed_in_the_one_before(refusing_c4):
    assert take(checkout("c4")) == ["m0"]
    assert take(checkout("c1"), checkout("c2")) == []


# What is told of them


def test_each_log_line_names_the_order_that_it_is_about(db, everything_logged):
    take(checkout("c1"), checkout("c2"))
    received = [line for line in log_lines(everything_logged()) if line["message"] == "received"]
    assert [(line["orderId"], line["detailType"]) for line in received] == [
        ("c1", "BasketCheckedOut"),
        ("c2", "BasketCheckedOut"),
    ]


@pytest.mark.parametrize("poison", ["not JSON", "no event", "no address"])
def test_one_that_cannot_be_handled_is_logged_by_its_message_and_not_as_part_of_the_order_before_it(
    db, everything_logged, poison
):
    take(checkout("c1"), POISON[poison], checkout("c2"))
    (line,) = (line for line in log_lines(everything_logged()) if line["level"] == "ERROR")
    assert (line["message"], line["messageId"]) == ("not handled", "m1")
    assert line["exception_name"]
    assert not {"orderId", "eventId"} & {name for name, it in line.items() if it is not None}


def test_nothing_that_is_logged_traced_or_announced_tells_whom_it_goes_to(refusing_c4, everything_logged):
    take(*POISON.values(), checkout("c1"), checkout("c1"), checkout("c1", LAMP))
    take(*POISON.values())
    call("POST", "/orders/c1/cancel")

    told = everything_logged() + "".join(it.detail for it in refusing_c4.announcements)

    assert refusing_c4.told == ["OrderCreated", "OrderCancelled"]
    assert told.count("not handled") >= len(POISON)
    assert not [value for value in PERSONAL if value in told]
