"""What holds for all of the HTTP API, as API Gateway calls it: who is an operator, and what nobody foresaw."""

import pytest

import orders.http

from .api_gateway import OPERATOR, call

# Who is an operator, and what operators do


@pytest.mark.parametrize(
    ("groups", "status"),
    [
        ("operators", 200),
        ("a,operators", 200),
        ("operators,b", 200),
        ("[a operators]", 200),
        ("[operators]", 200),
        ("[a, operators, b]", 200),
        ("operatorsx", 403),
        ("xoperators,a", 403),
        ("[no-operators a]", 403),
        ("Operators", 403),
        ("", 403),
        (None, 403),
    ],
)
def test_an_operator_is_a_member_of_the_group_however_cognito_writes_it(db, groups, status):
    claims = {"sub": "olga"} | ({} if groups is None else {"cognito:groups": groups})
    delivery = {"by": 3, "reason": "delivery"}
    for _ in range(2):
        answer = call("POST", "/inventory/mug/adjustments", delivery, claims, {"Idempotency-Key": "k1"})
        assert answer.status == status
    assert call("GET", "/inventory/mug", claims=claims).status == status


# Where things are


@pytest.mark.parametrize("stage", ["/v1", "/prod", ""])
def test_what_is_made_is_where_it_can_be_asked_for_under_the_stage_that_was_called(db, stage):
    db.sells("mug", 1250)
    mug = {"productId": "mug", "name": "Mug", "category": "mugs", "unitPrice": 1250, "currency": "USD"}
    shipping = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com", "address": "12 St James's"}

    created = call("POST", "/products", mug, claims=OPERATOR, stage=stage)
    placed = call("POST", "/orders", {"productId": "mug", "quantity": 1}, stage=stage)
    call("PUT", "/basket/items/mug", {"quantity": 1}, stage=stage)
    checked_out = call("POST", "/basket/checkout", shipping, stage=stage)

    assert created.headers["Location"] == f"{stage}/products/mug"
    for answer in (placed, checked_out):
        assert answer.headers["Location"] == f"{stage}/orders/{answer.body['orderId']}"


# What nobody foresaw


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/orders/{}"), ("POST", "/orders/{}/cancel"), ("GET", "/inventory/{}")]
)
def test_an_id_that_nothing_can_have_is_the_callers_fault(db, method, path):
    assert call(method, path.format("x" * 2049), claims=OPERATOR).status in (400, 404)


def test_a_new_line_that_ends_a_path_is_part_of_the_id_and_not_left_out(db):
    db.sells("mug", 1250)
    order_id = call("POST", "/orders", {"productId": "mug", "quantity": 1}).body["orderId"]

    assert call("GET", f"/orders/{order_id}\n").status == 404
    for path in ("/products/\n", "/orders/\n", "/timelines/\n"):
        assert call("GET", path).status in (400, 404), "a list, which nobody asked for"


def test_a_route_that_does_not_exist_is_a_problem_like_any_other(db):
    assert call("DELETE", "/orders").status == 404


def test_an_unexpected_error_is_told_to_the_log_and_not_to_the_caller(monkeypatch, caplog):
    class Broken:
        def read(self, key):
            raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(orders.http, "ORDERS", Broken())
    answer = call("GET", "/orders/o1")
    assert answer.status == 500
    assert "request-1" in answer.body["detail"]
    assert "swordfish" not in answer.text
    assert "swordfish" in caplog.text
