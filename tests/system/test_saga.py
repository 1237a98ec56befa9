"""Every way that an order's saga can go, on the deployed stack."""

from contextlib import contextmanager

import pytest

from .waiting import eventually


@contextmanager
def not_listening(shop, function, rule="Orders"):
    """The function's rule is off: what is put meanwhile does not reach it."""
    events = shop.cloud.client("events")
    which = {"Name": shop.resources[f"{function}{rule}"].partition("|")[2] or shop.resources[f"{function}{rule}"]}
    which["EventBusName"] = shop.stack.event_bus
    events.disable_rule(**which)
    try:
        yield
    finally:
        events.enable_rule(**which)


def test_an_order_is_paid_reserved_and_confirmed(shop):
    # given
    product = shop.stocked(5)

    # when
    order = shop.place(product, 2)

    # then
    assert shop.until(order, "CONFIRMED")
    assert shop.stock_of(product) == 3
    heard = shop.until_heard(order, "OrderCreated", "PaymentSucceeded", "InventoryReserved", "OrderConfirmed")
    assert len(heard) == 4


def test_an_order_of_one_product_is_version_1_on_the_wire_and_of_several_2(shop):
    # given
    mug, lamp = shop.stocked(5), shop.stocked(5)

    # when
    one, several = shop.place(mug, 2), shop.place_lines({mug: 1, lamp: 3})

    # then
    flat = shop.until_heard(one, "OrderCreated")[0]["detail"]
    assert flat.keys() == {
        *("orderId", "userId", "productId", "quantity", "unitPrice", "totalPrice", "currency"),
        *("timestamp", "version", "metadata"),
    }
    assert (flat["productId"], flat["quantity"], flat["version"]) == (mug, 2, "1.0")
    listed = shop.until_heard(several, "OrderCreated")[0]["detail"]
    assert [(line["productId"], line["quantity"]) for line in listed["items"]] == [(mug, 1), (lamp, 3)]
    assert (listed["totalPrice"], listed["currency"]) == (4 * 1999, "USD")
    assert listed["version"] == "2.0"
    assert shop.until(several, "CONFIRMED")
    assert (shop.stock_of(mug), shop.stock_of(lamp)) == (2, 2)


def test_a_declined_payment_calls_the_order_off_and_releases_the_stock(shop):
    # given
    product = shop.stocked(5)

    # when
    order = shop.place(product, 2, pays=False)

    # then
    assert shop.until(order, "PAYMENT_FAILED")
    eventually(lambda: shop.stock_of(product), lambda pieces: pieces == 5)
    failed = next(e["detail"] for e in shop.until_heard(order, "PaymentFailed") if e["detail-type"] == "PaymentFailed")
    assert failed.keys() == {
        *("orderId", "userId", "productId", "quantity", "reason"),
        *("timestamp", "version", "metadata"),
    }
    assert failed["version"] == "1.0"


def test_missing_stock_calls_the_order_off_and_refunds_the_payment(shop):
    # given
    product = shop.stocked(1)

    # when
    order = shop.place(product, 2)

    # then
    assert shop.until(order, "INVENTORY_FAILED")
    heard = shop.until_heard(order, "InventoryFailed", "OrderCancelled")
    failed = next(event["detail"] for event in heard if event["detail-type"] == "InventoryFailed")
    assert failed.keys() == {
        *("orderId", "userId", "productId", "quantity", "availableQty", "reason"),
        *("timestamp", "version", "metadata"),
    }
    assert (failed["quantity"], failed["availableQty"], failed["version"]) == (2, 1, "1.0")
    eventually(
        lambda: shop.row("PaymentsTable", order)["status"]["S"], lambda status: status in ("REFUNDED", "CANCELLED")
    )
    assert shop.stock_of(product) == 1


def test_of_two_vetoes_the_first_names_the_status_and_nothing_is_kept(shop):
    # given
    product = shop.stocked(0)

    # when
    order = shop.place(product, pays=False)

    # then
    assert shop.until(order, "PAYMENT_FAILED", "INVENTORY_FAILED")
    shop.until_heard(order, "PaymentFailed", "InventoryFailed", "OrderCancelled")
    assert shop.ear.types_about(order).count("OrderCancelled") == 1


def test_one_missing_line_reserves_none(shop):
    # given
    plenty, little = shop.stocked(9), shop.stocked(1)

    # when
    order = shop.place_lines({plenty: 2, little: 2})

    # then
    assert shop.until(order, "INVENTORY_FAILED")
    assert (shop.stock_of(plenty), shop.stock_of(little)) == (9, 1)


def test_an_order_cancelled_while_pending_is_never_kept(shop):
    # given an order that no service receives
    product = shop.stocked(5)
    with not_listening(shop, "PaymentFunction"), not_listening(shop, "InventorySagaFunction"):
        order = shop.place(product, 2)
        (created,) = shop.until_heard(order, "OrderCreated")
        assert shop.status(order) == "PENDING"

    # when it is cancelled, and then received: the undo comes before the do
    assert shop.cancel(order).body["status"] == "CANCELLED"
    for table in ("PaymentsTable", "ReservationsTable"):
        eventually(lambda table=table: shop.row(table, order), lambda row: row and row["status"]["S"] == "CANCELLED")
    before = shop.rows(order)
    shop.put_again(created)

    # then the late do does nothing
    event_id = created["detail"]["metadata"]["eventId"]
    for function in ("PaymentFunction", "InventorySagaFunction"):
        eventually(lambda function=function: shop.received(function, event_id), lambda times: times == 1)
    assert shop.rows(order) == before
    assert shop.stock_of(product) == 5


@pytest.mark.parametrize(
    ("deaf", "stage", "undone"),
    [
        ("InventorySagaFunction", "PAID", "PaymentRefunded"),
        ("PaymentFunction", "RESERVED", "InventoryReleased"),
    ],
)
def test_an_order_cancelled_half_way_undoes_the_half_that_was_done(shop, deaf, stage, undone):
    # given an order of which one service has not heard
    product = shop.stocked(5)
    with not_listening(shop, deaf):
        order = shop.place(product, 2)
        assert shop.until(order, stage)

    # when
    assert shop.cancel(order).body["status"] == "CANCELLED"

    # then
    shop.until_heard(order, undone)
    assert shop.stock_of(product) == 5
    assert shop.status(order) == "CANCELLED"


def test_a_confirmed_order_that_is_cancelled_is_undone_whole(shop):
    # given
    product = shop.stocked(5)
    order = shop.place(product, 2)
    assert shop.until(order, "CONFIRMED")

    # when it is cancelled, twice
    assert [shop.cancel(order).status for _ in range(2)] == [200, 200]

    # then it is undone, once
    heard = shop.until_heard(order, "OrderCancelled", "PaymentRefunded", "InventoryReleased")
    assert len(heard) == len({event["detail-type"] for event in heard}) == 7
    assert shop.stock_of(product) == 5


def test_an_event_names_its_cause_and_its_order(shop):
    # given
    order = shop.place(shop.stocked(1))

    # when
    heard = shop.until_heard(order, "OrderConfirmed")

    # then
    by_type = {event["detail-type"]: event["detail"]["metadata"] for event in heard}
    created = by_type["OrderCreated"]
    assert "causationId" not in created
    assert by_type["PaymentSucceeded"]["causationId"] == created["eventId"]
    assert by_type["InventoryReserved"]["causationId"] == created["eventId"]
    last = {by_type["PaymentSucceeded"]["eventId"], by_type["InventoryReserved"]["eventId"]}
    assert by_type["OrderConfirmed"]["causationId"] in last
    assert {metadata["correlationId"] for metadata in by_type.values()} == {order}


def test_an_orders_log_lines_carry_its_id_and_one_trace(shop):
    # given
    order = shop.place(shop.stocked(1))
    shop.until_heard(order, "OrderConfirmed")
    functions = ("PaymentFunction", "InventorySagaFunction", "OrdersSagaFunction", "NotificationFunction")

    # when
    lines = [
        line for function in functions for line in eventually(lambda function=function: shop.log(function, order), len)
    ]

    # then
    assert {line["orderId"] for line in lines} == {order}
    assert len({line["xray_trace_id"] for line in lines}) == 1
    (created,) = [e for e in shop.ear.about(order) if e["detail-type"] == "OrderCreated"]
    traceparent = created["detail"]["metadata"]["traceparent"]
    assert lines[0]["xray_trace_id"].removeprefix("1-").replace("-", "") == traceparent.split("-")[1]
