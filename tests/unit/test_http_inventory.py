"""Stock over HTTP: it is moved, never set, and each move is made once."""

from typing import Any

import pytest

from eventflow import clock

from .api_gateway import ADA, OPERATOR, Answer, call

DAY = 24 * 60 * 60 * 1000
NOW = 1_795_176_000_000
DELIVERY = {"by": 12, "reason": "delivery 4711"}


@pytest.fixture(autouse=True)
def _now(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)


def adjust(body: Any, key: str | None = "k1", product: str = "mug", claims: dict[str, str] = OPERATOR) -> Answer:
    headers = {"Idempotency-Key": key} if key else None
    return call("POST", f"/inventory/{product}/adjustments", body, claims, headers)


def test_a_first_delivery_makes_a_products_stock_and_the_next_ones_add_to_it(db):
    assert call("GET", "/inventory/mug", claims=OPERATOR).status == 404

    first, second = adjust(DELIVERY, "k1"), adjust({"by": 3, "reason": "returned"}, "k2")

    assert (first.status, second.status) == (200, 200)
    assert first.body == {"productId": "mug", "availableQty": 12, "updatedAt": "2026-11-20T12:00:00.000+00:00"}
    assert second.body["availableQty"] == 15
    assert call("GET", "/inventory/mug", claims=OPERATOR).body == second.body
    assert db.rows["InventoryTable"]["mug"]["updatedAt"] == {"N": str(NOW)}


def test_an_adjustment_is_made_once_however_often_it_is_sent(db):
    answers = [adjust(DELIVERY) for _ in range(3)]
    assert [(answer.status, answer.body["availableQty"]) for answer in answers] == [(200, 12)] * 3


def test_a_repeated_adjustment_tells_what_may_be_sold_by_now(db):
    adjust(DELIVERY, "k1")
    adjust({"by": -5, "reason": "broken"}, "k2")
    assert adjust(DELIVERY, "k1").body["availableQty"] == 7


@pytest.mark.parametrize("body", [{**DELIVERY, "by": 13}, {**DELIVERY, "reason": "lost"}])
def test_a_key_stands_for_one_adjustment_of_a_product(db, body):
    adjust(DELIVERY)
    answer = adjust(body)
    assert (answer.status, answer.body["title"]) == (422, "Key reused")
    assert db.rows["InventoryTable"].keys() == {"mug"}
    assert call("GET", "/inventory/mug", claims=OPERATOR).body["availableQty"] == 12


def test_a_delivery_counts_once_for_each_product_no_matter_which_operator_sends_it(db):
    adjust(DELIVERY)
    assert adjust(DELIVERY, claims={**OPERATOR, "sub": "otto"}).body["availableQty"] == 12
    assert adjust({"by": 3, "reason": "delivery 4711"}, product="lamp").body["availableQty"] == 3


def test_a_key_is_kept_for_thirty_days(db, monkeypatch):
    adjust(DELIVERY)
    monkeypatch.setattr(clock, "now", lambda: NOW + 30 * DAY - 1)
    assert adjust(DELIVERY).body["availableQty"] == 12
    monkeypatch.setattr(clock, "now", lambda: NOW + 30 * DAY)
    assert db.rows["IdempotencyTable"], "DynamoDB deletes some time after"
    assert adjust(DELIVERY).body["availableQty"] == 24


def test_without_a_key_nothing_is_adjusted(db):
    answer = adjust(DELIVERY, key=None)
    assert (answer.status, answer.wrong_fields) == (428, ["Idempotency-Key"])
    assert not db.rows["InventoryTable"]


@pytest.mark.parametrize("there", [0, 2])
def test_stock_does_not_go_below_zero_and_the_refusal_uses_up_no_key(db, there):
    if there:
        adjust({"by": there, "reason": "delivery"}, "k0")
    loss = {"by": -3, "reason": "flood"}

    refused = adjust(loss)

    assert (refused.status, refused.body["title"]) == (409, "Below zero")
    assert f"there are {there} of product mug" in refused.body["detail"]
    adjust({"by": 3, "reason": "found again"}, "k2")
    assert adjust(loss).body["availableQty"] == there


def test_a_loss_may_take_all_there_is(db):
    adjust(DELIVERY, "k1")
    assert adjust({"by": -12, "reason": "flood"}, "k2").body["availableQty"] == 0


def test_no_stock_is_too_large_to_be_read(db):
    for n in range(3):
        adjust({"by": 1_000_000_000, "reason": "a large delivery"}, f"k{n}")
    assert call("GET", "/inventory/mug", claims=OPERATOR).body["availableQty"] == 3_000_000_000


@pytest.mark.parametrize(
    ("product", "body", "field_named"),
    [
        ("mug", {}, "by"),
        ("mug", {"by": 1}, "reason"),
        ("mug", {**DELIVERY, "by": 0}, "by"),
        ("mug", {**DELIVERY, "by": "3"}, "by"),
        ("mug", {**DELIVERY, "by": 1.5}, "by"),
        ("mug", {**DELIVERY, "by": True}, "by"),
        ("mug", {**DELIVERY, "by": 1_000_000_001}, "by"),
        ("mug", {**DELIVERY, "by": -1_000_000_001}, "by"),
        ("mug", {**DELIVERY, "reason": ""}, "reason"),
        ("mug", {**DELIVERY, "reason": "r" * 201}, "reason"),
        ("mug", {**DELIVERY, "reason": "\uffff"}, "reason"),
        ("mug", {**DELIVERY, "availableQty": 3}, "availableQty"),
        ("mug", "3 pieces", "body"),
        ("a%20mug", DELIVERY, "productId"),
        ("m" * 65, DELIVERY, "productId"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_adjustment_is_refused_by_the_name_of_its_field(db, product, body, field_named):
    answer = adjust(body, product=product)
    assert (answer.status, answer.wrong_fields) == (400, [field_named])
    assert not db.rows["InventoryTable"] | db.rows["IdempotencyTable"]


def test_only_an_operator_adjusts_stock(db):
    assert adjust(DELIVERY, claims=ADA).status == 403
    assert not db.rows["InventoryTable"] | db.rows["IdempotencyTable"]


def test_the_log_tells_who_moved_what_and_why(db, everything_logged):
    adjust(DELIVERY)
    adjust(DELIVERY)
    lines = everything_logged()
    assert lines.count('"message":"stock adjusted"') == lines.count('"message":"stock was adjusted before"') == 1
    for told in ('"productId":"mug"', '"by":12', '"reason":"delivery 4711"', '"operator":"olga"'):
        assert told in lines


def test_an_adjustment_of_a_product_that_everybody_buys_waits_its_turn(db, pauses):
    db.conflicts = 2
    assert adjust(DELIVERY).body["availableQty"] == 12
    assert len(pauses) == 2


def test_one_that_gets_no_turn_is_told_when_to_come_again_and_is_nobodys_fault(db, monkeypatch):
    db.conflicts = 1000
    monkeypatch.setattr("eventflow.transition.PATIENCE", 0)
    answer = adjust(DELIVERY)
    assert (answer.status, answer.body["title"], answer.headers["Retry-After"]) == (409, "Contended", "1")
    assert "stock of product mug" in answer.body["detail"]
    assert not db.rows["IdempotencyTable"]
