"""The API as a stranger, a shopper and an operator meet it. (The table of wrong bodies is in the unit tests.)"""

import uuid

import pytest


def test_without_a_valid_token_nobody_gets_in(shop):
    assert shop.call("GET", "/orders", token="").status == 401
    assert shop.call("POST", "/orders", {"productId": "mug", "quantity": 1}, token="forged.token.here").status == 401
    delivery = {"by": 1, "reason": "delivery"}
    assert shop.call("POST", "/inventory/mug/adjustments", delivery, token="", key="k").status == 401


def test_anothers_order_does_not_exist_but_for_an_operator(shop):
    # given
    order = shop.place(shop.stocked(1))

    # when a stranger asks
    read = shop.call("GET", f"/orders/{order}", by=shop.people.other_shopper)
    cancel = shop.call("POST", f"/orders/{order}/cancel", by=shop.people.other_shopper)

    # then there is nothing to tell it from an order that never was
    never_was = shop.call("GET", f"/orders/{uuid.uuid4()}", by=shop.people.other_shopper)
    assert read.status == cancel.status == never_was.status == 404
    assert read.body.keys() == never_was.body.keys()
    assert shop.call("GET", f"/orders/{order}", by=shop.people.operator).status == 200
    assert shop.until(order, "CONFIRMED")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"", "body"),
        ({"productId": "mug"}, "quantity"),
        ({"productId": "mug", "quantity": "2"}, "quantity"),
        ({"productId": "mug", "quantity": 0}, "quantity"),
        ({"productId": "mug", "quantity": -1}, "quantity"),
        ({"productId": "mug", "quantity": 10**12}, "quantity"),
        ({"productId": "mug", "quantity": 1, "unitPrice": 1}, "unitPrice"),
        ({"productId": "m" * 2_000_000, "quantity": 1}, "productId"),
        ({"items": [{"productId": "mug", "quantity": 1}] * 2}, "items[1].productId"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_body_is_refused_by_the_name_of_its_field(shop, body, field):
    answer = shop.call("POST", "/orders", body)

    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in answer.body["errors"]] == [field]


def test_only_an_operator_moves_and_sees_stock_and_each_move_counts_once(shop):
    path, delivery, operator = f"/inventory/{uuid.uuid4()}", {"by": 3, "reason": "delivery"}, shop.people.operator
    assert shop.call("POST", f"{path}/adjustments", delivery, key="k").status == 403
    assert shop.call("GET", path).status == 403

    answers = [shop.call("POST", f"{path}/adjustments", delivery, by=operator, key=path) for _ in range(2)]
    assert [(answer.status, answer.body["availableQty"]) for answer in answers] == [(200, 3)] * 2
    assert shop.call("GET", path, by=operator).body == answers[0].body

    loss = shop.call("POST", f"{path}/adjustments", {"by": -4, "reason": "loss"}, by=operator, key=f"{path} lost")
    other = shop.call("POST", f"{path}/adjustments", {**delivery, "by": 4}, by=operator, key=path)
    keyless = shop.call("POST", f"{path}/adjustments", delivery, by=operator)
    assert (loss.status, other.status, keyless.status) == (409, 422, 428)
    assert shop.call("PUT", path, {"availableQty": 1}, by=operator).status in (403, 404, 405), "stock is not set"


def test_an_order_is_placed_for_the_caller_unless_an_operator_says_otherwise(shop):
    # given
    product, someone = shop.stocked(9), shop.people.other_shopper
    body = {"userId": someone.sub, "productId": product, "quantity": 2}

    # when
    own, strange, by_operator = (
        shop.call("POST", "/orders", body, by=caller) for caller in (someone, shop.people.shopper, shop.people.operator)
    )

    # then
    assert (own.status, strange.status, by_operator.status) == (201, 403, 201)
    assert by_operator.body["userId"] == someone.sub
    assert shop.call("GET", f"/orders/{by_operator.body['orderId']}", by=someone).status == 200


def test_orders_are_listed_newest_first_page_by_page(shop):
    # given
    product, someone = shop.stocked(9), shop.people.other_shopper
    body = {"productId": product, "quantity": 1}
    placed = [shop.call("POST", "/orders", body, by=someone).body["orderId"] for _ in range(3)]

    # when
    first = shop.call("GET", "/orders?limit=2", by=someone).body
    second = shop.call("GET", f"/orders?limit=2&cursor={first['nextCursor']}", by=someone).body

    # then
    seen = [order["orderId"] for order in first["items"] + second["items"]]
    assert seen[:3] == placed[::-1]
    answer = shop.call("GET", "/orders?cursor=nonsense", by=someone)
    assert (answer.status, answer.body["errors"][0]["field"]) == (400, "cursor")
