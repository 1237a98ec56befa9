"""The answer of a write is lost on its way, and the SDK repeats it: what was done is told as done, and counted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from eventflow import store
from eventflow.telemetry import metrics

from .api_gateway import ADA, OPERATOR, call
from .lossy_wire import LossyWire
from .memory_dynamodb import MemoryDynamoDB, refused

MUG = {"name": "Mug", "category": "mugs", "unitPrice": 1250, "currency": "USD"}
SHIPPING = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com", "address": "12 St James's"}

Lossy = Callable[..., Any]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> MemoryDynamoDB:
    """As the fixture of other tests, but the services reach it through the real client."""
    import basket.http
    from eventflow import price_list

    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr(basket.http, "PRICES", store.Table("BasketPricesTable", "productId", price_list.Price))
    db = MemoryDynamoDB()
    db.sells("mug", 1250)
    return db


@contextmanager
def losing_the_answer_of(operation: str, db: MemoryDynamoDB) -> Iterator[list[str]]:
    """While this lasts, the first answer of this operation is lost. Yields the operations that were made."""
    made: list[str] = []

    def loses(each: str) -> bool:
        made.append(each)
        return each == operation and made.count(operation) == 1

    with LossyWire(db, loses):
        yield made


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/products", {"productId": "lamp", **MUG}, {}, 201),
        ("PUT", "/products/mug", {**MUG, "unitPrice": 1300}, {"If-Match": '"1"'}, 200),
        ("DELETE", "/products/mug", None, {"If-Match": '"1"'}, 204),
    ],
)
def test_a_change_of_the_catalog_that_was_made_is_told_as_made(shop, method, path, body, headers, status):
    # given
    with LossyWire(shop, lambda _: False):
        call("POST", "/products", {"productId": "mug", **MUG}, OPERATOR)
    before = len(shop.told)

    # when
    with losing_the_answer_of("PutItem", shop) as made:
        answer = call(method, path, body, OPERATOR, headers)

    # then
    assert answer.status == status, answer.text
    assert made.count("PutItem") == 2, "the SDK repeated it"
    assert len(shop.told) == before + 1


def test_an_order_that_was_placed_and_cancelled_is_told_so_and_counted_once(shop, capsys):
    metrics.clear_metrics()
    with losing_the_answer_of("PutItem", shop):
        placed = call("POST", "/orders", {"productId": "mug", "quantity": 1})
    with losing_the_answer_of("PutItem", shop):
        cancelled = call("POST", f"/orders/{placed.body['orderId']}/cancel")

    assert (placed.status, cancelled.status, cancelled.body["status"]) == (201, 200, "CANCELLED")
    assert shop.told == ["OrderCreated", "OrderCancelled"]
    told = capsys.readouterr().out
    for counted in ('"OrderCreated":[1.0]', '"OrderCancelled":[1.0]'):
        assert told.count(counted) == 1, told


@pytest.mark.parametrize("key", [None, "k1"])
def test_a_basket_that_was_checked_out_is_told_so_and_not_that_it_is_empty(shop, key):
    with LossyWire(shop, lambda _: False):
        call("PUT", "/basket/items/mug", {"quantity": 1})
    with losing_the_answer_of("TransactWriteItems", shop) as made:
        answer = call("POST", "/basket/checkout", SHIPPING, ADA, {"Idempotency-Key": key} if key else None)
    assert made.count("TransactWriteItems") == 2
    assert (answer.status, shop.told) == (202, ["BasketCheckedOut"])


@pytest.mark.parametrize("key", [None, "k1"])
def test_what_is_put_in_before_a_checkouts_lost_answer_is_asked_for_again_stays_in_the_basket(shop, key):
    # given
    with LossyWire(shop, lambda _: False):
        call("PUT", "/basket/items/mug", {"quantity": 1})

    # when the answer is lost, and another tab puts something in before the SDK repeats the request
    with losing_the_answer_of("TransactWriteItems", shop):
        shop.meanwhile = [lambda: None, lambda: call("PUT", "/basket/items/mug", {"quantity": 3})]
        answer = call("POST", "/basket/checkout", SHIPPING, ADA, {"Idempotency-Key": key} if key else None)

    # then one order was announced, of what was in it then
    assert (answer.status, shop.told) == (202, ["BasketCheckedOut"])
    assert shop.rows["BasketsTable"]["ada"]["items"]["L"][0]["M"]["quantity"] == {"N": "3"}


@pytest.mark.parametrize(
    "refusal",
    [
        {"code": "TransactionInProgressException"},
        {"code": "TransactionCanceledException", "reasons": ["None", "ThrottlingError"]},
        {"code": "TransactionCanceledException", "reasons": ["ProvisionedThroughputExceeded", "TransactionConflict"]},
    ],
)
def test_a_transaction_that_is_under_way_or_throttled_is_asked_for_again_and_made_once(shop, refusal):
    # given that the transaction is made, its answer lost, and the repetition refused for now
    path, headers = "/inventory/mug/adjustments", {"Idempotency-Key": "k1"}

    def not_now() -> None:
        reasons = {"CancellationReasons": [{"Code": code} for code in refusal.get("reasons", [])]}
        raise refused("TransactWriteItems", refusal["code"], reasons)

    # when
    with losing_the_answer_of("TransactWriteItems", shop):
        shop.meanwhile = [lambda: None, not_now, not_now]
        answer = call("POST", path, {"by": 12, "reason": "delivery"}, OPERATOR, headers)

    # then
    assert (answer.status, answer.body["availableQty"]) == (200, 12)


def test_a_delivery_that_was_taken_in_is_told_so_and_taken_in_once(shop):
    path, headers = "/inventory/mug/adjustments", {"Idempotency-Key": "k1"}
    with losing_the_answer_of("TransactWriteItems", shop) as made:
        answer = call("POST", path, {"by": 12, "reason": "delivery"}, OPERATOR, headers)
    assert made.count("TransactWriteItems") == 2
    assert (answer.status, answer.body["availableQty"]) == (200, 12)


def test_one_whose_every_answer_is_lost_can_be_asked_for_again(shop):
    """Two lost answers in a row are all that the SDK takes: the caller gets an error, and repeats the request."""
    path, headers = "/inventory/mug/adjustments", {"Idempotency-Key": "k1"}
    with LossyWire(shop, lambda operation: operation == "TransactWriteItems"):
        assert call("POST", path, {"by": 12, "reason": "delivery"}, OPERATOR, headers).status == 500
    with LossyWire(shop, lambda _: False):
        answer = call("POST", path, {"by": 12, "reason": "delivery"}, OPERATOR, headers)
    assert (answer.status, answer.body["availableQty"]) == (200, 12)


def test_a_change_that_another_made_is_no_success(shop):
    with LossyWire(shop, lambda _: False):
        call("POST", "/products", {"productId": "mug", **MUG}, OPERATOR)

    def another_first() -> None:
        call("PUT", "/products/mug", {**MUG, "unitPrice": 1}, OPERATOR, {"If-Match": '"1"'})

    with losing_the_answer_of("PutItem", shop):
        shop.meanwhile = [another_first]
        answer = call("PUT", "/products/mug", {**MUG, "unitPrice": 1300}, OPERATOR, {"If-Match": '"1"'})
    assert (answer.status, shop.rows["ProductsTable"]["mug"]["unitPrice"]) == (412, {"N": "1"})
