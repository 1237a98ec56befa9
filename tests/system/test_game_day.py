"""Game day: something breaks while orders come in. The runbook's commands fix it, and then each order has ended, once.

A minute of an outage is a few seconds here: longer than an event is retried, which is what matters.
"""

import json
import os
import re
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from .faults import REFUSED, fault_between
from .on_call import failed, redrive
from .shop import ENDED
from .test_shop_day import SHIPPING
from .waiting import eventually


def place(shop, product, number):
    with ThreadPoolExecutor(5) as tills:
        return set(tills.map(lambda _: shop.place(product), range(number)))


def empty(shop, service):
    """Forget what other tests have left in the service's queue."""
    shop.cloud.client("sqs").purge_queue(QueueUrl=shop.resources[f"{service.title()}FailedEvents"])


def until_failed(shop, service, number):
    """The messages of the service's queue, once there are this many."""
    sqs, queue, depth = shop.cloud.client("sqs"), f"{service.title()}FailedEvents", "ApproximateNumberOfMessages"
    eventually(
        lambda: sqs.get_queue_attributes(QueueUrl=shop.resources[queue], AttributeNames=[depth])["Attributes"][depth],
        lambda seen: seen == str(number),
    )
    return failed(shop, "--service", service)


def statuses(shop, orders):
    """How many orders are in which status, as the table has it."""
    rows = [shop.row("OrdersTable", order) for order in orders]
    return Counter(row["status"]["S"] if row else "none" for row in rows)


def ends(shop, product, stocked, orders, seconds=40):
    """How many orders end how, once all have, with nothing lost and nothing done twice: what is no more in stock was
    sold, what was sold was paid, and each order has one event of a kind.
    """
    ended = eventually(lambda: statuses(shop, orders), lambda seen: seen.keys() <= set(ENDED), seconds)
    eventually(lambda: shop.stock_of(product), lambda pieces: pieces == stocked - ended["CONFIRMED"])
    shop.ear.about("anything")
    details = [(event["detail-type"], event["detail"]) for event in shop.ear.heard]
    heard = {(kind, it["orderId"], it["metadata"]["eventId"]) for kind, it in details if it.get("orderId") in orders}
    kinds = Counter((kind, order) for kind, order, _ in heard)
    assert set(kinds.values()) == {1}
    assert sum(kind == "PaymentSucceeded" for kind, _ in kinds) == ended["CONFIRMED"]
    return ended


def test_a_consumer_that_throws_for_one_order_in_ten(shop):
    # given
    empty(shop, "inventory")
    product, seen = shop.stocked(20), []

    def refuse_one_in_ten(operation, body, call):
        if operation in ("PutItem", "TransactWriteItems") and shop.resources["ReservationsTable"] in body:
            order = re.search(r'"orderId": ?{"S": ?"([^"]+)"', body)[1]
            if order not in seen:
                seen.append(order)
            if seen.index(order) % 10 == 5:
                return REFUSED
        return call()

    # when
    with fault_between(shop, "InventorySagaFunction", refuse_one_in_ten):
        orders = place(shop, product, 20)
        kept = until_failed(shop, "inventory", 2)
    assert {it["orderId"] for it in kept} == {seen[5], seen[15]}
    told = redrive(shop, "--service", "inventory")

    # then
    assert "2 sent." in told
    assert ends(shop, product, 20, orders) == {"CONFIRMED": 20}


def test_a_wrong_permission(shop):
    # given a payment service that may do nothing
    empty(shop, "payment")
    product, iam, lambdas = shop.stocked(5), shop.cloud.client("iam"), shop.cloud.client("lambda")
    function = lambdas.get_function_configuration(FunctionName=shop.resources["PaymentFunction"])
    role = function["Role"].rpartition("/")[2]
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policies = {name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names}
    for name in names:
        iam.delete_role_policy(RoleName=role, PolicyName=name)

    # when
    try:
        orders = place(shop, product, 5)
        kept = until_failed(shop, "payment", 5)
    finally:
        for name, document in policies.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
    assert {it["orderId"] for it in kept} == orders
    assert all("AccessDenied" in it["reason"] for it in kept)
    told = redrive(shop, "--service", "payment")

    # then
    assert "5 sent." in told
    assert ends(shop, product, 5, orders) == {"CONFIRMED": 5}


def test_payments_are_down_for_longer_than_they_are_retried(shop):
    # given
    empty(shop, "payment")
    product = shop.stocked(5)

    def refuse_payments(operation, body, call):
        return REFUSED if operation == "PutItem" and shop.resources["PaymentsTable"] in body else call()

    # when
    with fault_between(shop, "PaymentFunction", refuse_payments):
        orders = place(shop, product, 5)
        kept = until_failed(shop, "payment", 5)
        assert statuses(shop, orders) == {"RESERVED": 5}
        assert {it["orderId"] for it in kept} == orders
    first, *_ = orders
    assert "1 sent." in redrive(shop, "--service", "payment", "--order", first)
    assert shop.until(first, "CONFIRMED")
    told = redrive(shop, "--service", "payment")

    # then
    assert "4 sent." in told
    assert ends(shop, product, 5, orders) == {"CONFIRMED": 5}


def test_a_burst_of_orders_in_two_seconds(shop):
    """Out of baskets, which is how bursts come: forty, or BURST=200, which takes most of a minute on two processors.

    (On AWS it is functions that run at once, not one machine that sets the pace.)
    """
    # given
    number = int(os.environ.get("BURST", "40"))
    product, orders = shop.stocked(number), [str(uuid.uuid4()) for _ in range(number)]
    line = {"productId": product, "quantity": 1, "unitPrice": 500}
    detail = {"userId": "ada", "items": [line], "shipping": SHIPPING, "totalPrice": 500, "currency": "USD"}
    entry = {"EventBusName": shop.stack.event_bus, "Source": "eventflow.basket", "DetailType": "BasketCheckedOut"}
    events = shop.cloud.client("events")

    def put(ten):
        entries = [entry | {"Detail": json.dumps(detail | {"checkoutId": it, "version": "1.0"})} for it in ten]
        assert events.put_events(Entries=entries)["FailedEntryCount"] == 0

    # when
    started = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, (orders[first : first + 10] for first in range(0, number, 10))))
    assert time.monotonic() - started < 2

    # then
    ended = ends(shop, product, number, set(orders), seconds=max(40, number))
    assert ended.keys() <= {"CONFIRMED", "PAYMENT_FAILED"}
    assert [it for it in failed(shop) if it["orderId"] in orders] == []
