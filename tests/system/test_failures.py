"""What fails is retried, then kept in the service's queue with the reason; nothing is lost, nothing else disturbed."""

import json
import uuid

from .faults import REFUSED, fault_between, kill
from .waiting import eventually

QUEUES = ("OrdersFailedEvents", "PaymentFailedEvents", "InventoryFailedEvents", "NotificationFailedEvents")


def kept(shop, queue, order_id):
    """The records about this order in a failed-events queue."""
    return [record for record in shop.messages(queue) if record["requestPayload"]["detail"].get("orderId") == order_id]


def test_a_malformed_event_is_retried_and_ends_in_each_consumers_queue_with_the_reason(shop):
    # given an OrderCreated with a quantity that is no number, put by hand
    order_id = str(uuid.uuid4())
    detail = {"orderId": order_id, "userId": "ada", "productId": "mug", "quantity": "two", "version": "1.0"}

    # when
    shop.put_event("eventflow.orders", "OrderCreated", detail)

    # then each of its consumers keeps it, with what was wrong
    for queue in ("PaymentFailedEvents", "InventoryFailedEvents", "NotificationFailedEvents"):
        (record,) = eventually(lambda queue=queue: kept(shop, queue, order_id), len)
        assert "`$.detail.quantity`" in record["responsePayload"]["errorMessage"]
        assert record["requestContext"]["approximateInvokeCount"] == 3
        assert record["requestPayload"]["detail"] == detail

    # and the bus has said so, as it would on AWS
    def told():
        shop.ear.about(order_id)
        of_lambda = [it for it in shop.ear.heard if it["source"] == "lambda"]
        return [it for it in of_lambda if it["detail"]["requestPayload"]["detail"].get("orderId") == order_id]

    for event in eventually(told, lambda seen: len(seen) == 3):
        assert event["detail-type"] == "Lambda Function Invocation Result - Failure"
        function = event["detail"]["requestContext"]["functionArn"]
        assert function.endswith(":live")
        assert {it.split(":")[2] for it in event["resources"]} == {"events", "lambda"}
        assert function in event["resources"]

    # and nobody did anything
    assert shop.rows(order_id) == {"OrdersTable": None, "PaymentsTable": None, "ReservationsTable": None}
    assert kept(shop, "OrdersFailedEvents", order_id) == []
    assert shop.until(shop.place(shop.stocked(1)), "CONFIRMED")


def test_an_event_of_an_unknown_major_version_ends_in_the_queue_by_name(shop):
    order_id = str(uuid.uuid4())

    shop.put_event("eventflow.payment", "PaymentSucceeded", {"orderId": order_id, "version": "3.0"})

    (record,) = eventually(lambda: kept(shop, "OrdersFailedEvents", order_id), len)
    assert "'3.0'" in record["responsePayload"]["errorMessage"]


def test_a_consumer_that_fails_twice_and_then_works_loses_nothing(shop):
    # given a payment service whose database refuses the first two writes of a payment
    refused = []

    def refuse_twice(operation, body, call):
        if operation == "PutItem" and json.loads(body)["TableName"] == shop.resources["PaymentsTable"]:
            refused.append(body)
            if len(refused) <= 2:
                return REFUSED
        return call()

    # when
    with fault_between(shop, "PaymentFunction", refuse_twice):
        order = shop.place(shop.stocked(1))
        created = shop.until_heard(order, "OrderCreated")[0]
        event_id = created["detail"]["metadata"]["eventId"]
        eventually(lambda: shop.received("PaymentFunction", event_id), lambda attempts: attempts == 3)

    # then
    assert shop.until(order, "CONFIRMED")
    assert shop.ear.types_about(order).count("PaymentSucceeded") == 1
    assert kept(shop, "PaymentFailedEvents", order) == []


def test_a_function_killed_half_way_leaves_its_event_in_the_queue_and_finishes_when_it_comes_again(shop):
    # given a payment service that dies as soon as it has written its intent to charge
    def die_after_intent(operation, body, call):
        answer = call()
        if operation == "PutItem" and '"CHARGING"' in body:
            kill(shop, "PaymentFunction")
        return answer

    with fault_between(shop, "PaymentFunction", die_after_intent):
        order = shop.place(shop.stocked(1))
        (record,) = eventually(lambda: kept(shop, "PaymentFailedEvents", order), len)
    assert shop.row("PaymentsTable", order)["status"]["S"] == "CHARGING"
    assert shop.status(order) == "RESERVED"

    # when the event is sent again: a function that was killed has left no idempotency record
    answer = shop.cloud.client("lambda").invoke(
        FunctionName=shop.resources["PaymentFunction"], Payload=json.dumps(record["requestPayload"])
    )

    # then
    assert "FunctionError" not in answer
    assert shop.until(order, "CONFIRMED")
    assert shop.ear.types_about(order).count("PaymentSucceeded") == 1


def test_there_is_no_dual_write_to_lose(shop):
    # given an orders service that dies as soon as its one write is made
    def die_after_write(operation, body, call):
        answer = call()
        if operation == "PutItem":
            kill(shop, "OrdersApiFunction")
        return answer

    product, key = shop.stocked(1), shop.key()

    # when
    with fault_between(shop, "OrdersApiFunction", die_after_write):
        answer = shop.call("POST", "/orders", {"productId": product, "quantity": 1}, key=key)
    assert answer.status >= 500

    # then the order is there, its saga completes, and the shopper who asks again gets it
    again = shop.call("POST", "/orders", {"productId": product, "quantity": 1}, key=key)
    assert again.status == 201
    assert shop.until(again.body["orderId"], "CONFIRMED")
    assert shop.ear.types_about(again.body["orderId"]).count("OrderCreated") == 1
