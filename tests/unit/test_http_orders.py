"""Orders over HTTP: placed at the shop's prices, read, listed and cancelled."""

import base64
import json
from typing import Any

import msgspec
import pytest

from eventflow.events import Line, Shipping
from orders.http import ORDERS
from orders.orders import Order, Status

from .api_gateway import ADA, BOB, OPERATOR, call
from .memory_dynamodb import MemoryDynamoDB

A_MUG = {"productId": "mug", "quantity": 1}
MANY = {"items": [A_MUG, {"productId": "lamp", "quantity": 2}]}
SHIPPING = Shipping(first_name="Ada", last_name="Lovelace", email="ada@example.com", address="12 St James's Square")


def orders_in(shop: MemoryDynamoDB) -> dict[str, Any]:
    return shop.rows["OrdersTable"]


def has_order(
    shop: MemoryDynamoDB,
    order_id: str,
    status: Status = Status.PENDING,
    user_id: str = "ada",
    minute: int = 0,
    **more: Any,
) -> None:
    order = Order(
        order_id=order_id,
        user_id=user_id,
        items=(Line(product_id="mug", quantity=1),),
        status=status,
        created_at=f"2026-01-31T12:{minute:02}:00.000+00:00",
        **more,
    )
    shop.has(ORDERS, order_id, order)


# Placing orders


@pytest.mark.parametrize(
    ("request_body", "lines", "total", "version"),
    [
        ({"productId": "mug", "quantity": 3}, [("mug", 3, 1250)], 3750, "1.0"),
        (MANY, [("mug", 1, 1250), ("lamp", 2, 4000)], 9250, "2.0"),
    ],
)
def test_a_shopper_orders_for_themselves_at_the_shops_prices(shop, request_body, lines, total, version):
    answer = call("POST", "/orders", request_body)

    order_id = answer.body["orderId"]
    assert answer.status == 201
    assert answer.location == f"/orders/{order_id}"
    assert (answer.body["userId"], answer.body["status"]) == ("ada", "PENDING")
    assert [(it["productId"], it["quantity"], it["unitPrice"]) for it in answer.body["items"]] == lines
    assert (answer.body["totalPrice"], answer.body["currency"]) == (total, "USD")
    assert call("GET", answer.location).body == answer.body

    (created,) = shop.announcements
    detail = json.loads(created.detail)
    assert (created.detail_type, detail["version"]) == ("OrderCreated", version)
    announced_lines = detail.get("items") or [{name: detail[name] for name in ("productId", "quantity", "unitPrice")}]
    assert (announced_lines, detail["totalPrice"], detail["currency"]) == (answer.body["items"], total, "USD")


@pytest.mark.parametrize(
    ("body", "field_named"),
    [
        (None, "body"),
        ("", "body"),
        ("{", "body"),
        ("null", "body"),
        ([A_MUG], "body"),
        ("[" * 100_000, "body"),
        ({}, "productId"),
        ({"productId": "mug"}, "quantity"),
        ({"quantity": 1}, "productId"),
        ({"productId": "", "quantity": 1}, "productId"),
        ({"productId": "a mug", "quantity": 1}, "productId"),
        ({"productId": "mug\n", "quantity": 1}, "productId"),
        ({"productId": 7, "quantity": 1}, "productId"),
        ({"productId": "mug", "quantity": 0}, "quantity"),
        ({"productId": "mug", "quantity": -1}, "quantity"),
        ({"productId": "mug", "quantity": 10_001}, "quantity"),
        ({"productId": "mug", "quantity": 1.5}, "quantity"),
        ({"productId": "mug", "quantity": "1"}, "quantity"),
        ({"productId": "mug", "quantity": True}, "quantity"),
        ('{"productId": "mug", "quantity": 1e400}', "quantity"),
        ('{"productId": "mug", "quantity": %s}' % ("[" * 100_000), "quantity"),
        ({**A_MUG, "unitPrice": 1}, "unitPrice"),
        ({**A_MUG, "userId": ""}, "userId"),
        ({**A_MUG, "userId": None}, "userId"),
        ({**A_MUG, "items": [A_MUG]}, "items"),
        ({"quantity": 1, "items": [A_MUG]}, "items"),
        ({"items": []}, "items"),
        ({"items": None}, "items"),
        ({"items": [{"productId": f"p{n}", "quantity": 1} for n in range(51)]}, "items"),
        ({"items": [A_MUG, {"productId": "lamp", "quantity": 0}]}, "items[1].quantity"),
        ({"items": [A_MUG, {"productId": "lamp"}]}, "items[1].quantity"),
        ({"items": [{**A_MUG, "unitPrice": 1}]}, "items[0].unitPrice"),
        ({"items": [A_MUG, A_MUG]}, "items[1].productId"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_order_is_refused_by_the_name_of_its_field(shop, body, field_named):
    answer = call("POST", "/orders", body)
    assert (answer.status, answer.wrong_fields) == (400, [field_named]), answer.text
    assert not orders_in(shop)


@pytest.mark.parametrize(
    ("body", "in_base64"),
    [
        pytest.param(base64.b64encode(b'{"productId": "\xff", "quantity": 1}').decode(), True, id="not UTF-8"),
        pytest.param('{"productId": "\ud800", "quantity": 1}', False, id="half a surrogate pair"),
        pytest.param("A", True, id="not base64"),
        pytest.param("é", True, id="not even ASCII"),
    ],
)
def test_a_body_that_is_no_text_is_the_callers_fault(shop, body, in_base64):
    answer = call("POST", "/orders", body, in_base64=in_base64)
    assert (answer.status, answer.wrong_fields) == (400, ["body"])


def test_a_body_may_come_in_base64(shop):
    answer = call("POST", "/orders", base64.b64encode(json.dumps(A_MUG).encode()).decode(), in_base64=True)
    assert (answer.status, answer.body["items"]) == (201, [{**A_MUG, "unitPrice": 1250}])


def test_only_an_operator_orders_for_someone_else(shop):
    for_bob = {**A_MUG, "userId": "bob"}

    refused = call("POST", "/orders", for_bob, claims=ADA)
    assert (refused.status, refused.wrong_fields, orders_in(shop)) == (403, ["userId"], {})

    placed = call("POST", "/orders", for_bob, claims=OPERATOR)
    assert (placed.status, placed.body["userId"]) == (201, "bob")
    assert call("POST", "/orders", {**A_MUG, "userId": "ada"}, claims=ADA).status == 201


# Placing them again


@pytest.mark.parametrize("header", ["Idempotency-Key", "idempotency-key"])
def test_a_repeated_request_meets_its_first_order_as_it_is_by_now(shop, header):
    first = call("POST", "/orders", A_MUG, headers={header: "k1"})
    order_id = first.body["orderId"]
    confirmed = msgspec.structs.replace(shop.stored(ORDERS, order_id).state, status=Status.CONFIRMED)
    shop.has(ORDERS, order_id, confirmed, revision=2)

    again = call("POST", "/orders", {"items": [A_MUG]}, headers={header: "k1"})

    assert (again.status, again.location) == (201, first.location)
    assert again.body == {**first.body, "status": "CONFIRMED"}
    assert (len(orders_in(shop)), len(shop.told)) == (1, 1)


def test_a_key_stands_for_one_request(shop):
    call("POST", "/orders", {**A_MUG, "userId": "ada"}, claims=OPERATOR, headers={"Idempotency-Key": "k1"})
    for other in ({**A_MUG, "quantity": 2, "userId": "ada"}, {**A_MUG, "userId": "bob"}):
        answer = call("POST", "/orders", other, claims=OPERATOR, headers={"Idempotency-Key": "k1"})
        assert (answer.status, answer.body["title"]) == (422, "Key reused")
    assert len(orders_in(shop)) == 1


def test_a_key_is_its_callers_own_and_without_one_each_request_is_an_order(shop):
    call("POST", "/orders", A_MUG, claims=ADA, headers={"Idempotency-Key": "k1"})
    call("POST", "/orders", A_MUG, claims=BOB, headers={"Idempotency-Key": "k1"})
    call("POST", "/orders", A_MUG, claims=ADA, headers={"Idempotency-Key": "k2"})
    call("POST", "/orders", A_MUG, claims=ADA)
    call("POST", "/orders", A_MUG, claims=ADA)
    assert len(orders_in(shop)) == len(shop.told) == 5


def test_a_key_may_have_255_characters(shop):
    assert call("POST", "/orders", A_MUG, headers={"Idempotency-Key": "k" * 255}).status == 201
    refused = call("POST", "/orders", A_MUG, headers={"Idempotency-Key": "k" * 256})
    assert (refused.status, refused.wrong_fields) == (400, ["Idempotency-Key"])


# At what price


@pytest.mark.parametrize(
    ("body", "title", "named"),
    [
        ({"productId": "unicorn", "quantity": 1}, "Unknown product", ["unicorn"]),
        ({"items": [A_MUG, {"productId": "unicorn", "quantity": 1}]}, "Unknown product", ["unicorn"]),
        ({"productId": "teapot", "quantity": 1}, "Unknown product", ["teapot"]),
        ({"items": [A_MUG, {"productId": "vase", "quantity": 1}]}, "Mixed currencies", ["EUR", "USD"]),
    ],
)
def test_what_is_not_sold_or_not_for_one_currency_is_no_order(shop, body, title, named):
    shop.sells("teapot", 3000, sold=False)

    answer = call("POST", "/orders", body)

    assert (answer.status, answer.body["title"]) == (422, title)
    assert all(name in answer.body["detail"] for name in named)
    assert "mug" not in answer.body["detail"]
    assert (orders_in(shop), shop.told) == ({}, [])


@pytest.mark.parametrize("since_then", [{"unit_price": 9900}, {"unit_price": 1250, "sold": False}])
def test_a_repeated_request_meets_its_first_order_whatever_became_of_the_price(shop, since_then):
    first = call("POST", "/orders", MANY, headers={"Idempotency-Key": "k1"})
    shop.sells("mug", as_of=2, **since_then)

    again = call("POST", "/orders", MANY, headers={"Idempotency-Key": "k1"})

    assert (again.status, again.body) == (201, first.body)
    assert again.body["totalPrice"] == 9250
    assert shop.told == ["OrderCreated"]


def test_a_refused_request_can_be_repeated_once_its_product_is_sold(shop):
    teapot = {"productId": "teapot", "quantity": 1}
    assert call("POST", "/orders", teapot, headers={"Idempotency-Key": "k1"}).status == 422
    shop.sells("teapot", 3000)
    assert call("POST", "/orders", teapot, headers={"Idempotency-Key": "k1"}).body["totalPrice"] == 3000


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k1"}])
def test_an_order_of_many_products_costs_one_look_at_the_prices_and_one_write(shop, headers):
    call("POST", "/orders", MANY, headers=headers)
    assert shop.asked == ["BatchGetItem OrdersPricesTable", "PutItem OrdersTable"]


# Reading and cancelling them


def test_where_an_order_goes_is_shown_to_its_owner_and_told_to_no_one(shop):
    has_order(shop, "o1", shipping=SHIPPING)

    assert call("GET", "/orders/o1").body["shipping"] == msgspec.to_builtins(SHIPPING)
    assert call("GET", "/orders/o1", claims=BOB).status == 404
    assert call("POST", "/orders/o1/cancel").body["shipping"]["email"] == "ada@example.com"

    (cancelled,) = shop.announcements
    assert cancelled.detail_type == "OrderCancelled"
    assert "shipping" not in cancelled.detail
    assert "example.com" not in cancelled.detail


@pytest.mark.parametrize(("method", "path"), [("GET", "/orders/{}"), ("POST", "/orders/{}/cancel")])
def test_a_strangers_order_is_not_to_be_told_from_one_that_does_not_exist(shop, method, path):
    has_order(shop, "of-ada")
    strangers = call(method, path.format("of-ada"), claims=BOB)
    missing = call(method, path.format("of-nobody"), claims=BOB)
    assert strangers.status == missing.status == 404
    assert strangers.text.replace("of-ada", "") == missing.text.replace("of-nobody", "")
    assert shop.stored(ORDERS, "of-ada").revision == 1

    assert call(method, path.format("of-ada"), claims=ADA).status == 200
    assert call(method, path.format("of-ada"), claims=OPERATOR).body["userId"] == "ada"


@pytest.mark.parametrize("status", Status)
def test_an_order_that_stands_can_be_cancelled_and_one_that_is_off_stays_as_it_is(shop, status):
    has_order(shop, "o1", status)

    first, again = (call("POST", "/orders/o1/cancel") for _ in range(2))

    assert first.status == again.status == 200
    assert first.body == again.body
    if status in ("PENDING", "PAID", "RESERVED", "CONFIRMED"):
        assert (first.body["status"], first.body["reason"]) == ("CANCELLED", "cancelled by the shopper")
        assert shop.told == ["OrderCancelled"]
    else:
        assert first.body["status"] == status
        assert not shop.told


@pytest.mark.parametrize(("claims", "by"), [(ADA, "the shopper"), (OPERATOR, "an operator")])
def test_an_order_tells_who_cancelled_it_and_when_it_was_changed_last(shop, monkeypatch, claims, by):
    has_order(shop, "o1")
    monkeypatch.setattr("eventflow.clock.now", lambda: 1_795_176_000_000)
    cancelled = call("POST", "/orders/o1/cancel", claims=claims).body
    assert cancelled["reason"] == f"cancelled by {by}"
    assert cancelled["updatedAt"] == call("GET", "/orders/o1").body["updatedAt"] == "2026-11-20T12:00:00.000+00:00"
    assert shop.rows["OrdersTable"]["o1"]["updatedAt"] == {"N": "1795176000000"}


# Listing them


def test_a_list_is_of_ones_own_orders_newest_first_a_page_at_a_time(shop):
    for minute in (1, 3, 2):
        has_order(shop, f"o{minute}", minute=minute)
    has_order(shop, "of-bob", user_id="bob", minute=4)

    first = call("GET", "/orders", query={"limit": "2"}).body
    assert [order["orderId"] for order in first["items"]] == ["o3", "o2"]
    last = call("GET", "/orders", query={"limit": "2", "cursor": first["nextCursor"]}).body
    assert [order["orderId"] for order in last["items"]] == ["o1"]
    assert last.keys() == call("GET", "/orders").body.keys() == {"items"}


def test_a_list_that_ends_where_a_page_ends_goes_on_with_an_empty_one(shop):
    has_order(shop, "o1")
    first = call("GET", "/orders", query={"limit": "1"}).body  # DynamoDB cannot tell either
    assert call("GET", "/orders", query={"limit": "1", "cursor": first["nextCursor"]}).body == {"items": []}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"from": "2026-01-31T12:02:00Z"}, ["o3", "o2"]),
        ({"from": "2026-01-31T12:02:00.001Z"}, ["o3"]),
        ({"to": "2026-01-31T12:02:00Z"}, ["o2", "o1"]),
        ({"to": "2026-01-31T12:01:59.999Z"}, ["o1"]),
        ({"from": "2026-01-31T12:02:00Z", "to": "2026-01-31T12:02:00Z"}, ["o2"]),
        ({"from": "2026-01-31T13:02+01:00", "to": "2026-01-31T07:02-05:00"}, ["o2"]),
        ({"from": "2026-01-31T12:02"}, ["o3", "o2"]),
        ({"from": "2026-01-31", "to": "2026-02-01"}, ["o3", "o2", "o1"]),
        ({"from": "2026-02-01"}, []),
        ({"to": "2026-01-31"}, []),
        ({"from": "", "to": ""}, ["o3", "o2", "o1"]),
    ],
)
def test_orders_are_found_by_when_they_were_placed_both_ends_included(shop, query, found):
    for minute in (1, 2, 3):
        has_order(shop, f"o{minute}", minute=minute)
    assert [order["orderId"] for order in call("GET", "/orders", query=query).body["items"]] == found


def test_a_list_between_two_times_has_pages_too(shop):
    for minute in range(5):
        has_order(shop, f"o{minute}", minute=minute)
    query = {"from": "2026-01-31T12:01Z", "to": "2026-01-31T12:03Z", "limit": "2"}
    first = call("GET", "/orders", query=query).body
    last = call("GET", "/orders", query={**query, "cursor": first["nextCursor"]}).body
    assert [order["orderId"] for order in first["items"] + last["items"]] == ["o3", "o2", "o1"]

    whole = call("GET", "/orders", query={**query, "limit": "3"}).body  # it ends where the time does
    assert call("GET", "/orders", query={**query, "cursor": whole["nextCursor"]}).body["items"] == []


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize("value", ["yesterday", "2026-13-01", "2026-01-31T12:00:00 00:00", "1769860800", "é"])
def test_a_time_that_is_none_is_refused_by_its_name(shop, name, value):
    answer = call("GET", "/orders", query={name: value})
    assert (answer.status, answer.wrong_fields) == (400, [name])


@pytest.mark.parametrize("value", ["0001-01-01T00:00+01:00", "9999-12-31T23:59-01:00"])
def test_a_time_that_utc_does_not_have_is_refused_too(shop, value):
    assert call("GET", "/orders", query={"from": value}).wrong_fields == ["from"]


def test_a_list_from_later_to_earlier_is_the_callers_mistake(shop):
    answer = call("GET", "/orders", query={"from": "2026-02-01", "to": "2026-01-31"})
    assert (answer.status, answer.wrong_fields) == (400, ["to"])


def test_a_cursor_is_of_the_list_that_gave_it(shop):
    for minute in (1, 2, 3):
        has_order(shop, f"o{minute}", minute=minute)
    cursor = call("GET", "/orders", query={"limit": "1"}).body["nextCursor"]
    answer = call("GET", "/orders", query={"cursor": cursor, "to": "2026-01-31T12:02Z"})
    assert (answer.status, answer.wrong_fields) == (400, ["cursor"])


def test_an_operator_lists_anyones_orders_and_a_shopper_does_not(shop):
    has_order(shop, "o1")
    of_ada = {"userId": "ada"}
    assert call("GET", "/orders", claims=OPERATOR).body == {"items": []}
    assert len(call("GET", "/orders", claims=OPERATOR, query=of_ada).body["items"]) == 1
    assert len(call("GET", "/orders", claims=ADA, query=of_ada).body["items"]) == 1
    assert call("GET", "/orders", claims=BOB, query=of_ada).status == 404


def test_a_page_holds_20_and_up_to_100(shop):
    for n in range(101):
        has_order(shop, f"o{n}")
    sizes = {
        limit: len(call("GET", "/orders", query=limit and {"limit": limit}).body["items"]) for limit in ("", "100")
    }
    assert sizes == {"": 20, "100": 100}


@pytest.mark.parametrize(
    "limit", ["0", "101", "-1", "1.5", "x", "²", " 1", "1" * 10, "0000000500", "0" * 8 + "1" * 5000]
)
def test_a_limit_out_of_bounds_is_refused(shop, limit):
    answer = call("GET", "/orders", query={"limit": limit})
    assert (answer.status, answer.wrong_fields) == (400, ["limit"])


@pytest.mark.parametrize(
    "cursor",
    ["x", "é", "eyJ", *(base64.urlsafe_b64encode(it).decode() for it in (b"{}", b"\xff", b'{"createdAt": 1}', b"[["))],
)
def test_a_cursor_of_ones_own_making_is_refused(shop, cursor):
    answer = call("GET", "/orders", query={"cursor": cursor})
    assert (answer.status, answer.wrong_fields) == (400, ["cursor"])
