"""Delivered again, asked again, or all at once: the same as once."""

from concurrent.futures import ThreadPoolExecutor

from .waiting import eventually

CONSUMERS = {
    "OrderCreated": ("PaymentFunction", "InventorySagaFunction", "NotificationFunction"),
    "OrderCancelled": ("PaymentFunction", "InventorySagaFunction", "NotificationFunction"),
    "OrderConfirmed": ("NotificationFunction",),
    "PaymentSucceeded": ("OrdersSagaFunction",),
    "PaymentFailed": ("OrdersSagaFunction",),
    "PaymentRefunded": ("NotificationFunction",),
    "InventoryReserved": ("OrdersSagaFunction",),
    "InventoryFailed": ("OrdersSagaFunction",),
    "InventoryReleased": (),
}
"""Which consumer gets which event, by the rules of the template."""


def deliver_again(shop, events, times):
    """Put events on the bus again, and wait until each of their consumers was handed them for the nth time."""
    for event in events:
        shop.put_again(event)
    for event in events:
        event_id = event["detail"]["metadata"]["eventId"]
        for function in CONSUMERS[event["detail-type"]]:
            eventually(
                lambda function=function, event_id=event_id: shop.received(function, event_id),
                lambda seen: seen == times,
            )


def ended_orders(shop, product):
    """Orders that between them have announced every event there is, and have come to rest."""
    confirmed, declined = shop.place(product), shop.place(product, pays=False)
    short, regretted = shop.place(product, 9_999), shop.place(product)
    shop.until_heard(confirmed, "OrderConfirmed")
    until_undone(shop, declined, "PaymentFailed", "OrderCancelled")
    until_undone(shop, short, "InventoryFailed", "OrderCancelled")
    shop.until_heard(regretted, "OrderConfirmed")
    shop.cancel(regretted)
    until_undone(shop, regretted, "OrderCancelled")
    return confirmed, declined, short, regretted


def until_undone(shop, order, *heard):
    """Until these were heard, and all that was done is taken back. (It may have been called off before it was done.)"""

    def ends(table, **announced):
        row = eventually(
            lambda: shop.row(table, order), lambda row: row is not None and row["status"]["S"] in announced
        )
        return announced[row["status"]["S"]]

    paid_back = ends("PaymentsTable", REFUNDED=("PaymentSucceeded", "PaymentRefunded"), CANCELLED=(), FAILED=())
    put_back = ends("ReservationsTable", RELEASED=("InventoryReserved", "InventoryReleased"), CANCELLED=(), REFUSED=())
    shop.until_heard(order, *heard, *paid_back, *put_back)


def forget_what_was_handled(shop):
    """As if every idempotency record had expired, and so every claim of notification's."""
    dynamodb = shop.cloud.client("dynamodb")
    for name, key in (("IdempotencyTable", "id"), ("NotificationsTable", "orderId")):
        table = shop.resources[name]
        for page in dynamodb.get_paginator("scan").paginate(TableName=table, ProjectionExpression=key):
            for item in page["Items"]:
                if name == "IdempotencyTable":
                    dynamodb.delete_item(TableName=table, Key=item)
                else:
                    dynamodb.update_item(
                        TableName=table,
                        Key=item,
                        UpdateExpression="SET claimedUntil = :past",
                        ExpressionAttributeValues={":past": {"N": "0"}},
                    )


def not_told(shop, order):
    """What notification found to be older than what it had told."""
    lines = shop.log("NotificationFunction", order)
    return [line["detailType"] for line in lines if line["message"] == "older than what was told"]


def test_every_event_delivered_again_changes_nothing_with_the_records_and_without(shop):
    # given
    product = shop.stocked(20)
    orders = ended_orders(shop, product)
    events = [event for order in orders for event in shop.ear.about(order)]
    assert {event["detail-type"] for event in events} == CONSUMERS.keys()
    for event in events:  # the first deliveries have ended
        for function in CONSUMERS[event["detail-type"]]:
            event_id = event["detail"]["metadata"]["eventId"]
            eventually(lambda function=function, event_id=event_id: shop.received(function, event_id), len_is(1))
    rows, stock = [shop.rows(order) for order in orders], shop.stock_of(product)

    # when each is delivered again, while the first layer of idempotency remembers it
    deliver_again(shop, events, times=2)
    # then
    assert [shop.rows(order) for order in orders] == rows

    # when each is delivered once more, and only the second layer is left
    forget_what_was_handled(shop)
    deliver_again(shop, events, times=3)
    # then
    assert [shop.rows(order) for order in orders] == rows
    assert shop.stock_of(product) == stock
    # and a shopper who knows the order's end is not told again that it was placed
    for order in orders:
        eventually(lambda order=order: not_told(shop, order), lambda types: "OrderCreated" in types)
    # and no event led to another: each was heard once from its producer and twice from this test
    for order in orders:
        heard = shop.ear.types_about(order)
        assert {heard.count(detail_type) for detail_type in heard} == {3}


def len_is(number):
    return lambda seen: seen == number


def test_fifty_orders_at_once_for_ten_pieces_reserve_exactly_ten(shop):
    # given
    product = shop.stocked(10)

    # when
    with ThreadPoolExecutor(50) as shoppers:
        orders = list(shoppers.map(lambda _: shop.place(product), range(50)))

    # then
    ends = [shop.until(order, "CONFIRMED", "INVENTORY_FAILED") for order in orders]
    assert (ends.count("CONFIRMED"), ends.count("INVENTORY_FAILED")) == (10, 40)
    assert shop.stock_of(product) == 0


def test_twenty_writes_of_one_basket_at_once_are_made_one_after_the_other(shop):
    # given
    product, someone = shop.stocked(1), shop.people.other_shopper

    def put(quantity):
        return shop.call("PUT", f"/basket/items/{product}", {"quantity": quantity}, by=someone)

    # when
    with ThreadPoolExecutor(20) as clients:
        rounds = [[answer.status for answer in clients.map(put, range(1, 21))] for _ in range(3)]

    # then: what is not made is 409, and may be tried again
    for statuses in rounds:
        assert set(statuses) <= {200, 409}
        assert statuses.count(200) >= 18
    assert shop.call("DELETE", "/basket", by=someone).status == 200


def test_the_same_request_twice_at_once_is_one_order(shop):
    # given
    product, key = shop.stocked(9), shop.key()
    body = {"productId": product, "quantity": 2}

    # when
    with ThreadPoolExecutor(2) as clients:
        answers = list(clients.map(lambda _: shop.call("POST", "/orders", body, key=key), range(2)))

    # then
    assert [answer.status for answer in answers] == [201, 201]
    (order,) = {answer.body["orderId"] for answer in answers}
    assert shop.until(order, "CONFIRMED")
    assert shop.ear.types_about(order).count("OrderCreated") == 1
    assert shop.stock_of(product) == 7


def test_the_same_key_with_another_body_is_refused(shop):
    # given
    product, key = shop.stocked(9), shop.key()
    assert shop.call("POST", "/orders", {"productId": product, "quantity": 2}, key=key).status == 201

    # when
    answer = shop.call("POST", "/orders", {"productId": product, "quantity": 3}, key=key)

    # then
    assert answer.status == 422
    assert "Idempotency-Key" in answer.body["detail"]


def test_the_same_key_of_another_shopper_is_another_order(shop):
    product, key = shop.stocked(9), shop.key()
    body = {"productId": product, "quantity": 1}

    mine = shop.call("POST", "/orders", body, key=key)
    theirs = shop.call("POST", "/orders", body, key=key, by=shop.people.other_shopper)

    assert mine.status == theirs.status == 201
    assert mine.body["orderId"] != theirs.body["orderId"]
