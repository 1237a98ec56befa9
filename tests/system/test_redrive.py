"""What failed is listed with the reason, and sent again only to the consumer that failed on it."""

import json
import re
import uuid
from collections import Counter

import pytest

from .faults import REFUSED, fault_between
from .on_call import failed, redrive, said, start
from .test_shop_day import SHIPPING
from .waiting import eventually


def event(source, detail_type, **detail):
    """As EventBridge delivers it."""
    event_id = str(uuid.uuid4())
    metadata = {"eventId": event_id, "occurredAt": 1_760_000_000_000, "correlationId": detail.get("orderId", event_id)}
    return {
        "version": "0",
        "id": event_id,
        "source": source,
        "detail-type": detail_type,
        "time": "2026-11-20T12:00:00Z",
        "detail": {**detail, "version": "1.0", "metadata": metadata},
    }


def send(shop, queue, body, **attributes):
    shop.cloud.client("sqs").send_message(
        QueueUrl=shop.resources[queue],
        MessageBody=json.dumps(body),
        MessageAttributes={name: {"DataType": "String", "StringValue": it} for name, it in attributes.items()},
    )


def function_arn(shop, function):
    configuration = shop.cloud.client("lambda").get_function_configuration(FunctionName=shop.resources[function])
    return configuration["FunctionArn"]


def test_an_event_stays_until_its_consumer_is_fixed_and_then_goes_only_to_that_one(shop):
    # given a payment service that may not write
    def refuse(operation, body, call):
        return REFUSED if operation == "PutItem" and shop.resources["PaymentsTable"] in body else call()

    with fault_between(shop, "PaymentFunction", refuse):
        order = shop.place(shop.stocked(1))
        about = ("--order", order)
        eventually(lambda: order in json.dumps(shop.messages("PaymentFailedEvents")), bool)
        (kept,) = failed(shop, *about)

        # then anyone who asks is told who failed and why
        assert (kept["service"], kept["consumer"], kept["detailType"]) == ("payment", "PaymentFunction", "OrderCreated")
        assert "injected by a test" in kept["reason"]
        heard = r" inventory +INFO +received .*eventId=" + kept["eventId"]
        log = eventually(lambda: said(shop, "logs", order), lambda text: re.search(heard, text))
        assert re.search(r"ERROR .*Traceback.*^    .*injected by a test", log, re.MULTILINE | re.DOTALL)

        # a rehearsal sends nothing, and what still fails stays as it was
        assert "would go to PaymentFunction  payment: OrderCreated" in redrive(shop, *about, "--dry-run")
        assert re.search(r"^still failing .*\n.*injected by a test", redrive(shop, *about, ends=(1,)))
    assert shop.status(order) == "RESERVED"

    # when
    told = redrive(shop, *about)

    # then the order ends, and the queue has nothing more of it
    assert told == f"sent to PaymentFunction  payment: OrderCreated, order {order}\n1 sent.\n"
    assert order not in json.dumps(shop.messages("PaymentFailedEvents"))
    assert shop.until(order, "CONFIRMED")
    # and nobody else was called again
    heard = Counter(it["detail-type"] for it in shop.until_heard(order, "OrderConfirmed", "EventRedriven"))
    once = ["OrderCreated", "InventoryReserved", "PaymentSucceeded", "OrderConfirmed", "EventRedriven"]
    assert heard == dict.fromkeys(once, 1)
    # and anyone who listens knows what was fixed
    (redriven,) = [it["detail"] for it in shop.ear.about(order) if it["detail-type"] == "EventRedriven"]
    assert (redriven["service"], redriven["function"], redriven["outcome"]) == ("payment", "PaymentFunction", "handled")
    assert redriven["metadata"]["causationId"] == kept["eventId"]
    assert shop.received("InventorySagaFunction", kept["eventId"]) == 1
    assert shop.received("NotificationFunction", kept["eventId"]) == 1


def test_two_people_at_once_send_each_event_once(shop):
    # given what EventBridge could not deliver to a function
    order = str(uuid.uuid4())
    events = [event("eventflow.orders", "OrderConfirmed", orderId=order, userId="ada") for _ in range(4)]
    for each in events:
        target = function_arn(shop, "NotificationFunction")
        send(shop, "NotificationFailedEvents", each, TARGET_ARN=target, ERROR_CODE="NO_PERMISSIONS")
    # when
    both = [start(shop, "redrive", "--service", "notification", "--order", order) for _ in range(2)]
    told = ["".join(each.communicate(timeout=60)) for each in both]

    # then the one who did not see all of them, because the other held some, says so
    assert [each.returncode for each in both] == [int("This may not be all" in it) for it in told], told
    assert "".join(told).count("sent to NotificationFunction") == 4
    assert order not in json.dumps(shop.messages("NotificationFailedEvents"))
    for each in events:
        assert shop.received("NotificationFunction", each["id"]) == 1


def test_a_checkout_is_handed_to_orders_again(shop):
    # given one that was handed out too often
    product, checkout = shop.stocked(1), str(uuid.uuid4())
    line = {"productId": product, "quantity": 1, "unitPrice": 500}
    detail = {"checkoutId": checkout, "userId": "ada", "items": [line], "totalPrice": 500, "currency": "USD"}
    send(shop, "FailedCheckouts", event("eventflow.basket", "BasketCheckedOut", **detail, shipping=SHIPPING))
    listed = said(shop, "failed", "--service", "checkouts")
    assert "BasketCheckedOut" in listed
    assert not [value for value in SHIPPING.values() if value in listed]

    # when
    redrive(shop, "--service", "checkouts")

    # then
    assert shop.until(checkout, "CONFIRMED", "PAYMENT_FAILED")
    assert shop.messages("FailedCheckouts") == []


@pytest.fixture
def nothing_failed(timeline):
    """Nor does anything stay in the timeline's queue afterwards."""
    sqs, queue = timeline.cloud.client("sqs"), timeline.resources["TimelineFailedEvents"]
    sqs.purge_queue(QueueUrl=queue)
    yield
    sqs.purge_queue(QueueUrl=queue)


def test_what_the_timeline_cannot_keep_is_in_its_queue_once_however_often_it_is_tried(shop, timeline, nothing_failed):
    # given an event whose id is longer than a key may be, and one that is as it should be
    orders = [str(uuid.uuid4()), str(uuid.uuid4())]
    events = [event("eventflow.payment", "PaymentSucceeded", orderId=order) for order in orders]
    events[0]["detail"]["metadata"]["eventId"] = "e" * 1_100
    for each in events:
        context = {"requestId": each["id"], "functionArn": timeline.resources["Keeper"]}
        send(timeline, "TimelineFailedEvents", {"requestContext": context, "requestPayload": each})

    # when
    told = redrive(shop, "--service", "timeline", ends=(1,))

    # then the latter is in the timeline, and the former is where it was
    assert timeline.until_told(orders[1], "PaymentSucceeded")
    assert "1 still failing, 1 sent." in told
    (kept,) = timeline.messages("TimelineFailedEvents")
    assert kept["requestPayload"] == events[0]
