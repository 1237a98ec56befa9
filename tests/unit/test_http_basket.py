"""A shopper's basket over HTTP, from its first piece to its checkout."""

import json
import uuid
from typing import Any

import pytest

from basket.baskets import CheckoutRequest
from basket.http import BASKETS
from eventflow import clock
from eventflow.events import BasketCheckedOut, Shipping

from .api_gateway import ADA, BOB, Answer, call
from .memory_dynamodb import MemoryDynamoDB

SHIPPING = {
    "firstName": "Ada",
    "lastName": "Lovelace",
    "email": "ada.lovelace@example.com",
    "address": "12 St James's Square, London",
}


DAY = 24 * 60 * 60 * 1000


def put(product: str, quantity: Any = 1, claims: dict[str, str] = ADA) -> Answer:
    return call("PUT", f"/basket/items/{product}", {"quantity": quantity}, claims=claims)


def show(claims: dict[str, str] = ADA) -> Any:
    return call("GET", "/basket", claims=claims).body


def check_out(key: str | None = None, claims: dict[str, str] = ADA, body: Any = SHIPPING) -> Answer:
    return call("POST", "/basket/checkout", body, claims=claims, headers={"Idempotency-Key": key} if key else None)


def checked_out(shop: MemoryDynamoDB) -> list[dict[str, Any]]:
    """The details of what was announced."""
    assert {(it.source, it.detail_type) for it in shop.announcements} <= {("eventflow.basket", "BasketCheckedOut")}
    return [json.loads(it.detail) for it in shop.announcements]


# Filling it

MUGS = {"productId": "mug", "quantity": 3, "name": "A mug", "unitPrice": 1250, "lineTotal": 3750}
LAMP = {"productId": "lamp", "quantity": 1, "name": "A lamp", "unitPrice": 4000, "lineTotal": 4000}
EMPTY = {"items": [], "totalPrice": 0}


def test_a_basket_shows_what_is_in_it_what_each_costs_and_all_together(shop):
    assert show() == EMPTY
    assert put("mug", 1).status == 200
    put("lamp", 1)

    changed = put("mug", 3)

    assert changed.body == show() == {"items": [MUGS, LAMP], "totalPrice": 7750, "currency": "USD"}
    assert show(BOB) == EMPTY
    assert put("mug", 3).body == changed.body
    assert shop.stored(BASKETS, "ada").revision == 3, "what is there already is not written again"
    assert shop.told == [], "a basket is nobody's business but its shopper's"


def test_a_price_is_todays(shop):
    put("mug", 2)
    shop.sells("mug", 1300, as_of=2)
    assert (show()["items"][0]["unitPrice"], show()["totalPrice"]) == (1300, 2600)


def test_a_product_that_is_gone_stays_as_a_line_without_a_price_until_it_is_taken_out(shop):
    put("mug", 3)
    put("lamp")
    shop.sells("lamp", 4000, sold=False, as_of=2)

    assert show() == {"items": [MUGS, {"productId": "lamp", "quantity": 1}], "totalPrice": None}

    assert call("DELETE", "/basket/items/lamp").body == {"items": [MUGS], "totalPrice": 3750, "currency": "USD"}


def test_products_of_two_currencies_have_no_total(shop):
    put("mug")
    put("vase")
    assert show()["totalPrice"] is None
    assert "currency" not in show()
    assert [line["lineTotal"] for line in show()["items"]] == [1250, 3000]


@pytest.mark.parametrize("product", ["unicorn", "teapot"])
def test_what_is_not_sold_cannot_be_put_in(shop, product):
    shop.sells("teapot", 3000, sold=False)
    answer = put(product)
    assert (answer.status, answer.body["title"]) == (422, "Unknown product")
    assert product in answer.body["detail"]
    assert show() == EMPTY


@pytest.mark.parametrize(
    ("product", "body", "field_named"),
    [
        ("mug", {"quantity": 0}, "quantity"),
        ("mug", {"quantity": -1}, "quantity"),
        ("mug", {"quantity": 10_001}, "quantity"),
        ("mug", {"quantity": 1.5}, "quantity"),
        ("mug", {"quantity": "1"}, "quantity"),
        ("mug", {}, "quantity"),
        ("mug", {"quantity": 1, "unitPrice": 1}, "unitPrice"),
        ("mug", "one", "body"),
        ("m" * 65, {"quantity": 1}, "productId"),
        ("a%20mug", {"quantity": 1}, "productId"),
    ],
)
def test_a_wrong_line_is_refused_by_the_name_of_its_field(shop, product, body, field_named):
    answer = call("PUT", f"/basket/items/{product}", body)
    assert (answer.status, answer.wrong_fields) == (400, [field_named])
    assert not shop.rows["BasketsTable"]


def test_a_quantity_may_be_ten_thousand(shop):
    assert put("mug", 10_000).body["totalPrice"] == 12_500_000


def test_a_basket_holds_as_many_products_as_an_order_may(shop):
    for n in range(51):
        shop.sells(f"p{n}", 100)
    assert {put(f"p{n}").status for n in range(50)} == {200}

    too_many = put("p50")

    assert (too_many.status, too_many.body["title"]) == (422, "Basket full")
    assert put("p49", 7).body["totalPrice"] == 49 * 100 + 7 * 100
    call("DELETE", "/basket/items/p0")
    assert put("p50").status == 200


def test_taking_out_and_emptying_can_be_repeated_and_touch_nothing_else(shop):
    assert call("DELETE", "/basket").body == EMPTY
    assert call("DELETE", "/basket/items/mug").body == EMPTY
    assert not shop.rows["BasketsTable"]
    put("mug", 3)
    put("lamp")
    put("mug", 3, BOB)

    assert [call("DELETE", "/basket/items/lamp").body["items"] for _ in range(2)] == [[MUGS], [MUGS]]
    assert [call("DELETE", "/basket").body for _ in range(2)] == [EMPTY, EMPTY]

    assert show() == EMPTY
    assert show(BOB)["items"] == [MUGS]
    assert shop.stored(BASKETS, "ada").revision == 4, "what changes nothing writes nothing"


def test_two_who_put_something_into_one_basket_at_once_both_find_it_there(shop):
    put("mug")
    shop.meanwhile = [lambda: put("mug", 3)]
    assert put("lamp").body["items"] == [MUGS, LAMP]


# Checking it out


def test_a_checkout_empties_the_basket_and_announces_it_in_the_same_write(shop):
    put("mug", 3)
    put("lamp")
    before = shop.stored(BASKETS, "ada").revision

    answer = check_out()

    order_id = answer.body["orderId"]
    assert (answer.status, answer.location) == (202, f"/orders/{order_id}")
    assert uuid.UUID(order_id)
    assert show() == EMPTY
    assert shop.stored(BASKETS, "ada").revision == before + 1
    (detail,) = checked_out(shop)
    assert detail.pop("metadata")["correlationId"] == order_id
    assert detail.pop("timestamp")
    assert detail == {
        "version": "1.0",
        "checkoutId": order_id,
        "userId": "ada",
        "items": [
            {"productId": "mug", "quantity": 3, "unitPrice": 1250},
            {"productId": "lamp", "quantity": 1, "unitPrice": 4000},
        ],
        "totalPrice": 7750,
        "currency": "USD",
        "shipping": SHIPPING,
    }


@pytest.mark.parametrize("key", [None, "k1"])
def test_an_empty_basket_cannot_be_checked_out(shop, key):
    assert check_out(key).status == 409
    put("mug")
    call("DELETE", "/basket")
    answer = check_out(key)
    assert (answer.status, answer.body["title"], shop.told) == (409, "Nothing to check out", [])


def test_two_checkouts_at_once_are_one_order(shop):
    put("mug")
    others: list[Answer] = []
    shop.meanwhile = [lambda: others.append(check_out())]  # between our read and our write

    ours = check_out()

    assert [answer.status for answer in (*others, ours)] == [202, 409]
    assert [it["checkoutId"] for it in checked_out(shop)] == [others[0].body["orderId"]]


def test_one_checkout_sent_twice_at_once_is_one_order_and_both_hear_of_it(shop):
    put("mug")
    others: list[Answer] = []
    shop.meanwhile = [lambda: others.append(check_out("k1"))]

    ours = check_out("k1")

    assert (ours.status, ours.body) == (202, others[0].body)
    assert [it["checkoutId"] for it in checked_out(shop)] == [ours.body["orderId"]]


def test_what_is_put_in_while_checking_out_is_checked_out_too(shop):
    put("mug")
    shop.meanwhile = [lambda: put("lamp")]
    check_out()
    (detail,) = checked_out(shop)
    assert [line["productId"] for line in detail["items"]] == ["mug", "lamp"]
    assert detail["totalPrice"] == 5250


def test_a_repeated_checkout_meets_its_first_order_and_keeps_what_was_put_in_since(shop):
    put("mug")
    first = check_out("k1")
    assert (check_out("k1").status, check_out("k1").body) == (202, first.body)
    put("lamp")

    again = check_out("k1")

    assert (again.status, again.body, again.location) == (202, first.body, first.location)
    assert show()["items"] == [LAMP]
    assert len(checked_out(shop)) == 1


def test_a_late_repetition_of_an_earlier_checkout_takes_nothing_out_of_the_basket(shop):
    put("mug")
    first = check_out("k1")
    put("mug")
    check_out("k2")
    put("lamp")

    late = check_out("k1")  # its order is there: what is in the basket now could not become another of this id

    assert (late.status, late.body) == (202, first.body)
    assert show()["items"] == [LAMP]
    assert len(checked_out(shop)) == 2


def test_a_key_is_remembered_however_many_checkouts_came_since_and_a_month_long(shop, monkeypatch):
    put("mug")
    first = check_out("k1")
    for n in range(25):
        put("mug")
        check_out(f"another {n}")
    put("lamp")
    assert (check_out("k1").body, show()["items"]) == (first.body, [LAMP])

    in_a_month = clock.now() + 30 * DAY
    monkeypatch.setattr(clock, "now", lambda: in_a_month)
    assert shop.rows["IdempotencyTable"], "DynamoDB has not got round to deleting it"
    later = check_out("k1")
    assert (later.status, show()) == (202, EMPTY)
    assert later.body != first.body, "an order of this id is there already"


def test_a_key_that_has_expired_stands_for_nothing_though_its_row_is_still_there(shop, monkeypatch):
    put("mug")
    check_out("k1")
    in_a_month = clock.now() + 30 * DAY
    monkeypatch.setattr(clock, "now", lambda: in_a_month)
    assert shop.rows["IdempotencyTable"]
    assert check_out("k1").status == 409, "the basket is empty"


def test_an_order_of_a_checkout_has_an_id_that_nobody_can_derive_from_the_key(shop):
    ids = set()
    for _ in range(2):
        shop.rows["IdempotencyTable"].clear()
        put("mug")
        ids.add(check_out("k1").body["orderId"])
    assert len(ids) == 2


@pytest.mark.parametrize("refilled", [False, True])
def test_a_key_stands_for_one_checkout_and_not_for_one_to_another_address(shop, refilled):
    put("mug")
    check_out("k1")
    if refilled:
        put("lamp")
    elsewhere = check_out("k1", body={**SHIPPING, "address": "10 Downing Street"})
    assert (elsewhere.status, elsewhere.body["title"]) == (422, "Key reused")
    assert len(checked_out(shop)) == 1


def test_a_repeated_checkout_meets_its_order_whatever_became_of_the_prices(shop):
    put("mug")
    first = check_out("k1", body={**SHIPPING, "expectedTotal": 1250})
    put("mug")
    put("lamp")
    shop.sells("lamp", 4000, sold=False, as_of=2)
    assert check_out("k1", body={**SHIPPING, "expectedTotal": 1250}).body == first.body


def test_of_one_checkout_and_its_repetition_on_the_refilled_basket_one_is_made(shop):
    put("mug")
    others: list[Answer] = []

    def another_then_refill() -> None:
        others.append(check_out("k1"))
        put("lamp")

    shop.meanwhile = [another_then_refill]

    ours = check_out("k1")

    assert (ours.status, ours.body) == (202, others[0].body)
    assert (show()["items"], len(checked_out(shop))) == ([LAMP], 1)


# At what price


@pytest.mark.parametrize("key", [None, "k1"])
def test_a_shopper_pays_what_they_were_shown_or_hears_what_it_costs_by_now(shop, key):
    put("mug", 2)
    shop.sells("mug", 999_000, as_of=2)

    refused = check_out(key, body={**SHIPPING, "expectedTotal": 2500})

    assert (refused.status, refused.body["title"], refused.wrong_fields) == (409, "Total changed", ["expectedTotal"])
    assert (refused.body["totalPrice"], refused.body["currency"]) == (1_998_000, "USD")
    assert (show()["totalPrice"], shop.told) == (1_998_000, [])

    agreed = check_out(key and "k2", body={**SHIPPING, "expectedTotal": 1_998_000})
    assert agreed.status == 202
    assert [it["totalPrice"] for it in checked_out(shop)] == [1_998_000]


def test_a_refused_checkout_uses_up_no_key(shop):
    put("mug")
    assert check_out("k1", body={**SHIPPING, "expectedTotal": 1}).status == 409
    assert check_out("k1", body={**SHIPPING, "expectedTotal": 1250}).status == 202


@pytest.mark.parametrize("total", [-1, "1250", 12.5, None])
def test_a_total_that_is_no_amount_is_refused_by_its_name(shop, total):
    put("mug")
    assert check_out(body={**SHIPPING, "expectedTotal": total}).wrong_fields == ["expectedTotal"]


# With which key


def test_a_checkout_that_another_transaction_is_in_the_way_of_is_made_after_a_pause(shop, pauses):
    put("mug")
    shop.conflicts = 2
    assert check_out("k1").status == 202
    assert (len(pauses), len(checked_out(shop))) == (2, 1)


def test_a_basket_that_is_changed_all_the_time_is_no_error_of_ours(shop, monkeypatch):
    put("mug")
    quantities = iter(range(2, 1000))
    monkeypatch.setattr("eventflow.transition.PATIENCE", 0)

    def change_it_again() -> None:
        shop.meanwhile = [lambda: None, change_it_again]
        put("mug", next(quantities))

    shop.meanwhile = [change_it_again]
    answer = put("lamp")

    assert (answer.status, answer.headers["Retry-After"]) == (409, "1")
    assert "not your fault" not in answer.text


def test_a_key_is_its_shoppers_own_and_another_key_another_order(shop):
    ids = []
    for claims, key in ((ADA, "k1"), (BOB, "k1"), (ADA, "k2"), (ADA, None)):
        put("mug", 1, claims)
        ids.append(check_out(key, claims).body["orderId"])
    assert len(set(ids)) == len(checked_out(shop)) == 4


def test_a_key_is_too_long_from_256_characters(shop):
    put("mug")
    assert check_out("k" * 256).wrong_fields == ["Idempotency-Key"]
    assert check_out("k" * 255).status == 202


@pytest.mark.parametrize("key", [None, "k1"])
def test_a_product_that_was_removed_meanwhile_keeps_the_basket_as_it_is(shop, key):
    put("mug", 3)
    put("lamp")
    shop.sells("lamp", 4000, sold=False, as_of=2)
    before = shop.stored(BASKETS, "ada")

    answer = check_out(key)

    assert (answer.status, answer.body["title"]) == (422, "Unknown product")
    assert "lamp" in answer.body["detail"]
    assert "mug" not in answer.body["detail"]
    assert (shop.stored(BASKETS, "ada"), shop.told) == (before, [])
    call("DELETE", "/basket/items/lamp")
    assert check_out(key).status == 202


def test_two_currencies_are_no_order(shop):
    put("mug")
    put("vase")
    answer = check_out()
    assert (answer.status, answer.body["title"], shop.told) == (422, "Mixed currencies", [])


# Where it is sent


@pytest.mark.parametrize(
    ("fields", "field_named"),
    [
        ({"cardNumber": "4111111111111111"}, "cardNumber"),
        ({"card": {"number": "4111111111111111"}}, "card"),
        ({"cvc": "123"}, "cvc"),
        ({"totalPrice": 1}, "totalPrice"),
        ({"userId": "bob"}, "userId"),
        ({"first_name": "Ada"}, "first_name"),
        ({"firstName": ""}, "firstName"),
        ({"firstName": None}, "firstName"),
        ({"lastName": "l" * 201}, "lastName"),
        ({"email": "ada"}, "email"),
        ({"email": "ada @example.com"}, "email"),
        ({"email": "ada@example.com\n"}, "email"),
        ({"email": "a" * 250 + "@b.cd"}, "email"),
        ({"address": "a" * 501}, "address"),
        ({"address": ["12 St James's Square"]}, "address"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_nothing_but_whom_to_send_it_to_is_taken(shop, caplog, fields, field_named):
    put("mug")
    answer = check_out(body={**SHIPPING, **fields})
    assert (answer.status, answer.wrong_fields, shop.told) == (400, [field_named], [])
    assert not [text for text in (answer.text, caplog.text) if "4111" in text or "Lovelace" in text]
    assert len(show()["items"]) == 1


@pytest.mark.parametrize("name", SHIPPING)
@pytest.mark.parametrize("character", ["\0", "\x0b", "\x1f", "\ufffe", "\uffff"])
def test_text_that_no_queue_could_carry_is_refused_by_its_field(shop, name, character):
    put("mug")
    answer = check_out(body={**SHIPPING, name: f"x{character}@example.com"})
    assert (answer.status, answer.wrong_fields, shop.told) == (400, [name], [])
    assert f"U+{ord(character):04X}" in answer.body["detail"] or name == "email"


@pytest.mark.parametrize(
    "text", ["Ada\tB.\r\nLovelace", "\x7f\x85", "\ud7ff\ue000\ufffd", "\U00010000\U0010ffff", "Zoë 🚀"]
)
def test_any_other_text_is_taken(shop, text):
    put("mug")
    assert check_out(body={**SHIPPING, "address": text}).status == 202
    (detail,) = checked_out(shop)
    assert detail["shipping"]["address"] == text


@pytest.mark.parametrize("name", SHIPPING)
def test_all_of_it_is_needed(shop, name):
    put("mug")
    answer = check_out(body={field: value for field, value in SHIPPING.items() if field != name})
    assert (answer.status, answer.wrong_fields) == (400, [name])


def test_nothing_that_prints_or_logs_it_tells_whom_it_goes_to(shop):
    put("mug")
    check_out()
    asked = CheckoutRequest(first_name="Ada", last_name="Lovelace", email="ada@example.com", address="12 St James's")
    event = BasketCheckedOut(
        checkout_id="c1", user_id="u1", items=(), total_price=0, currency="USD", shipping=asked.shipping()
    )
    assert isinstance(asked.shipping(), Shipping)
    for told in (asked, asked.shipping(), event, [event], {"event": event}):
        for text in (repr(told), str(told), f"{told}"):
            assert not [value for value in ("Ada", "Lovelace", "example.com", "James") if value in text], text


def test_no_log_line_of_a_checkout_tells_whom_it_goes_to(shop, everything_logged):
    put("mug")
    check_out("k1")
    put("mug", 2)
    shop.broken = lambda operation, key: key.startswith("checkout#")
    assert check_out("k2").status == 500
    assert "InternalServerError" in everything_logged()
    assert not [value for value in SHIPPING.values() if value in everything_logged()]
