"""Checkouts in a rush, and one that cannot be handled."""

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from ops.people import sign_in

from .faults import REFUSED, fault_between
from .test_shop_day import SHIPPING
from .waiting import eventually


def test_fifty_baskets_checked_out_twice_at_once_are_fifty_orders(shop):
    # given fifty shoppers with a piece in each one's basket
    product = shop.stocked(80)
    cognito = shop.cloud.client("cognito-idp")
    shoppers = [
        sign_in(cognito, shop.stack.user_pool_id, shop.stack.client_id, f"shopper-{uuid.uuid4()}@example.com")
        for _ in range(50)
    ]
    with ThreadPoolExecutor(8) as pool:
        put = pool.map(lambda by: shop.call("PUT", f"/basket/items/{product}", {"quantity": 1}, by=by), shoppers)
        assert {answer.status for answer in put} == {200}

    # when each checks out twice, all at once
    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(lambda by: shop.call("POST", "/basket/checkout", SHIPPING, by=by), shoppers * 2))

    # then each has one order, and each order its piece
    assert Counter(answer.status for answer in answers) == {202: 50, 409: 50}
    orders = [answer.body["orderId"] for answer in answers if answer.status == 202]
    ends = Counter(shop.until(order, "CONFIRMED", "PAYMENT_FAILED") for order in orders)
    assert ends.total() == 50
    eventually(lambda: shop.stock_of(product), lambda pieces: pieces == 80 - ends["CONFIRMED"])


def test_one_checkout_that_cannot_be_handled_keeps_nobody_waiting_and_is_redriven(shop):
    # given ten checkouts, for one of which the database refuses the order
    product = shop.stocked(10)
    checkouts = [str(uuid.uuid4()) for _ in range(10)]
    poisoned = checkouts[4]

    def refuse_the_poisoned(operation, body, call):
        return REFUSED if operation == "PutItem" and poisoned in body else call()

    # when
    with fault_between(shop, "OrdersCheckoutsFunction", refuse_the_poisoned):
        for checkout in checkouts:
            line = {"productId": product, "quantity": 1, "unitPrice": 500}
            detail = {"checkoutId": checkout, "userId": "ada", "items": [line], "shipping": SHIPPING}
            detail |= {"totalPrice": 500, "currency": "USD", "version": "1.0"}
            shop.put_event("eventflow.basket", "BasketCheckedOut", detail)

        # then nine are orders, and one is in the dead-letter queue
        for checkout in checkouts:
            if checkout != poisoned:
                shop.until(checkout, "CONFIRMED", "PAYMENT_FAILED")
        (kept,) = eventually(lambda: shop.messages("FailedCheckouts"), len)
    assert kept["detail"]["checkoutId"] == poisoned
    assert shop.status(poisoned) == "HTTP 404"

    # when the fault is fixed, and the message moved back (on AWS by StartMessageMoveTask, which the emulator lacks)
    sqs, failed = shop.cloud.client("sqs"), shop.resources["FailedCheckouts"]
    (message,) = sqs.receive_message(QueueUrl=failed)["Messages"]
    sqs.send_message(QueueUrl=shop.resources["Checkouts"], MessageBody=message["Body"])
    sqs.delete_message(QueueUrl=failed, ReceiptHandle=message["ReceiptHandle"])

    # then it is an order, too
    assert shop.until(poisoned, "CONFIRMED", "PAYMENT_FAILED")
    assert shop.messages("FailedCheckouts") == []
