"""The HTTP API as API Gateway calls it: the real Lambda handlers, on tables in memory."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

import inventory.http
import orders.http
from eventflow.transition import Stored
from inventory.stock import StockLevel
from orders.orders import Status

from .lambda_context import LambdaContext
from .memory_tables import MemoryLevels, MemoryOrders

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

OPERATOR = {"sub": "olga", "cognito:groups": "operators"}
ADA = {"sub": "ada"}
BOB = {"sub": "bob"}


@pytest.fixture
def table(monkeypatch):
    table = MemoryOrders()
    monkeypatch.setattr(orders.http, "ORDERS", table)
    return table


@pytest.fixture
def levels(monkeypatch):
    levels = MemoryLevels()
    monkeypatch.setattr(inventory.http, "LEVELS", levels)
    return levels


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def wrong_fields(self) -> list[str]:
        return [error["field"] for error in self.body.get("errors", [])]


def call(
    method: str,
    path: str,
    body: Any = None,
    claims: Mapping[str, str] = ADA,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    in_base64: bool = False,
) -> Answer:
    """What API Gateway does with a request whose token it has verified. A body that is no text is sent as JSON."""
    service = inventory if path.startswith("/inventory") else orders
    event = {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": headers and {name: [value] for name, value in headers.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": query and {name: [value] for name, value in query.items()},
        "requestContext": {"requestId": "request-1", "stage": "v1", "authorizer": {"claims": dict(claims)}},
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": in_base64,
    }
    answer = service.http.handler(event, LambdaContext())
    received = Answer(
        answer["statusCode"], {name: values[0] for name, values in answer["multiValueHeaders"].items()}, answer["body"]
    )
    if received.status >= 400:
        assert received.headers["Content-Type"] == "application/problem+json"
        assert received.body["status"] == received.status
        assert {"title", "detail"} <= received.body.keys()
    else:
        assert received.headers["Content-Type"] == "application/json"
    return received


A_MUG = {"productId": "mug", "quantity": 1}
MANY = {"items": [A_MUG, {"productId": "lamp", "quantity": 2}]}


# Placing orders


@pytest.mark.parametrize(("request_body", "version"), [(A_MUG, "1.0"), (MANY, "2.0")])
def test_a_shopper_orders_for_themselves(table, request_body, version):
    answer = call("POST", "/orders", request_body)

    order_id = answer.body["orderId"]
    assert answer.status == 201
    assert answer.headers["Location"] == f"/orders/{order_id}"
    assert (answer.body["userId"], answer.body["status"]) == ("ada", "PENDING")
    assert answer.body["items"] == request_body.get("items", [A_MUG])
    assert call("GET", answer.headers["Location"]).body == answer.body
    (created,) = table.announced
    assert (created.detail_type, json.loads(created.detail)["version"]) == ("OrderCreated", version)


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
def test_a_wrong_order_is_refused_by_the_name_of_its_field(table, body, field_named):
    answer = call("POST", "/orders", body)
    assert (answer.status, answer.wrong_fields) == (400, [field_named]), answer.text
    assert not table.kept


@pytest.mark.parametrize(
    ("body", "in_base64"),
    [
        pytest.param(base64.b64encode(b'{"productId": "\xff", "quantity": 1}').decode(), True, id="not UTF-8"),
        pytest.param('{"productId": "\ud800", "quantity": 1}', False, id="half a surrogate pair"),
        pytest.param("A", True, id="not base64"),
        pytest.param("é", True, id="not even ASCII"),
    ],
)
def test_a_body_that_is_no_text_is_the_callers_fault(table, body, in_base64):
    answer = call("POST", "/orders", body, in_base64=in_base64)
    assert (answer.status, answer.wrong_fields) == (400, ["body"])


def test_a_body_may_come_in_base64(table):
    answer = call("POST", "/orders", base64.b64encode(json.dumps(A_MUG).encode()).decode(), in_base64=True)
    assert (answer.status, answer.body["items"]) == (201, [A_MUG])


def test_only_an_operator_orders_for_someone_else(table):
    for_bob = {**A_MUG, "userId": "bob"}

    refused = call("POST", "/orders", for_bob, claims=ADA)
    assert (refused.status, refused.wrong_fields, table.kept) == (403, ["userId"], {})

    placed = call("POST", "/orders", for_bob, claims=OPERATOR)
    assert (placed.status, placed.body["userId"]) == (201, "bob")
    assert call("POST", "/orders", {**A_MUG, "userId": "ada"}, claims=ADA).status == 201


# Placing them again


@pytest.mark.parametrize("header", ["Idempotency-Key", "idempotency-key"])
def test_a_repeated_request_meets_its_first_order_as_it_is_by_now(table, header):
    first = call("POST", "/orders", A_MUG, headers={header: "k1"})
    table.kept[first.body["orderId"]] = Stored(
        msgspec.structs.replace(table.kept[first.body["orderId"]].state, status=Status.CONFIRMED), 2
    )

    again = call("POST", "/orders", {"items": [A_MUG]}, headers={header: "k1"})

    assert (again.status, again.headers["Location"]) == (201, first.headers["Location"])
    assert again.body == {**first.body, "status": "CONFIRMED"}
    assert (len(table.kept), len(table.announced)) == (1, 1)


def test_a_key_stands_for_one_request(table):
    call("POST", "/orders", {**A_MUG, "userId": "ada"}, claims=OPERATOR, headers={"Idempotency-Key": "k1"})
    for other in ({**A_MUG, "quantity": 2, "userId": "ada"}, {**A_MUG, "userId": "bob"}):
        answer = call("POST", "/orders", other, claims=OPERATOR, headers={"Idempotency-Key": "k1"})
        assert (answer.status, answer.body["title"]) == (422, "KeyReused")
    assert len(table.kept) == 1


def test_a_key_is_its_callers_own_and_without_one_each_request_is_an_order(table):
    call("POST", "/orders", A_MUG, claims=ADA, headers={"Idempotency-Key": "k1"})
    call("POST", "/orders", A_MUG, claims=BOB, headers={"Idempotency-Key": "k1"})
    call("POST", "/orders", A_MUG, claims=ADA, headers={"Idempotency-Key": "k2"})
    call("POST", "/orders", A_MUG, claims=ADA)
    call("POST", "/orders", A_MUG, claims=ADA)
    assert len(table.kept) == len(table.announced) == 5


def test_a_key_may_have_255_characters(table):
    assert call("POST", "/orders", A_MUG, headers={"Idempotency-Key": "k" * 255}).status == 201
    refused = call("POST", "/orders", A_MUG, headers={"Idempotency-Key": "k" * 256})
    assert (refused.status, refused.wrong_fields) == (400, ["Idempotency-Key"])


# Reading and cancelling them


@pytest.mark.parametrize(("method", "path"), [("GET", "/orders/{}"), ("POST", "/orders/{}/cancel")])
def test_a_strangers_order_is_not_to_be_told_from_one_that_does_not_exist(table, method, path):
    table.has("of-ada")
    strangers = call(method, path.format("of-ada"), claims=BOB)
    missing = call(method, path.format("of-nobody"), claims=BOB)
    assert strangers.status == missing.status == 404
    assert strangers.text.replace("of-ada", "") == missing.text.replace("of-nobody", "")
    assert table.kept["of-ada"].revision == 1

    assert call(method, path.format("of-ada"), claims=ADA).status == 200
    assert call(method, path.format("of-ada"), claims=OPERATOR).body["userId"] == "ada"


@pytest.mark.parametrize("status", Status)
def test_an_order_that_stands_can_be_cancelled_and_one_that_is_off_stays_as_it_is(table, status):
    table.has("o1", status)

    first, again = (call("POST", "/orders/o1/cancel") for _ in range(2))

    assert first.status == again.status == 200
    assert first.body == again.body
    if status in ("PENDING", "PAID", "RESERVED", "CONFIRMED"):
        assert (first.body["status"], first.body["reason"]) == ("CANCELLED", "cancelled by the shopper")
        assert [it.detail_type for it in table.announced] == ["OrderCancelled"]
    else:
        assert first.body["status"] == status
        assert not table.announced


# Listing them


def test_a_list_is_of_ones_own_orders_newest_first_a_page_at_a_time(table):
    for minute in (1, 3, 2):
        table.has(f"o{minute}", minute=minute)
    table.has("of-bob", user_id="bob", minute=4)

    first = call("GET", "/orders", query={"limit": "2"}).body
    assert [order["orderId"] for order in first["items"]] == ["o3", "o2"]
    last = call("GET", "/orders", query={"limit": "2", "cursor": first["nextCursor"]}).body
    assert [order["orderId"] for order in last["items"]] == ["o1"]
    assert last.keys() == call("GET", "/orders").body.keys() == {"items"}


def test_an_operator_lists_anyones_orders_and_a_shopper_does_not(table):
    table.has("o1")
    of_ada = {"userId": "ada"}
    assert call("GET", "/orders", claims=OPERATOR).body == {"items": []}
    assert len(call("GET", "/orders", claims=OPERATOR, query=of_ada).body["items"]) == 1
    assert len(call("GET", "/orders", claims=ADA, query=of_ada).body["items"]) == 1
    assert call("GET", "/orders", claims=BOB, query=of_ada).status == 404


def test_a_page_holds_20_and_up_to_100(table):
    for n in range(101):
        table.has(f"o{n}")
    sizes = {
        limit: len(call("GET", "/orders", query=limit and {"limit": limit}).body["items"]) for limit in ("", "100")
    }
    assert sizes == {"": 20, "100": 100}


@pytest.mark.parametrize(
    "limit", ["0", "101", "-1", "1.5", "x", "²", " 1", "1" * 10, "0000000500", "0" * 8 + "1" * 5000]
)
def test_a_limit_out_of_bounds_is_refused(table, limit):
    answer = call("GET", "/orders", query={"limit": limit})
    assert (answer.status, answer.wrong_fields) == (400, ["limit"])


@pytest.mark.parametrize(
    "cursor",
    ["x", "é", "eyJ", *(base64.urlsafe_b64encode(it).decode() for it in (b"{}", b"\xff", b'{"createdAt": 1}', b"[["))],
)
def test_a_cursor_of_ones_own_making_is_refused(table, cursor):
    answer = call("GET", "/orders", query={"cursor": cursor})
    assert (answer.status, answer.wrong_fields) == (400, ["cursor"])


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
def test_an_operator_is_a_member_of_the_group_however_cognito_writes_it(levels, groups, status):
    levels.write(StockLevel(product_id="mug", available_qty=3))
    claims = {"sub": "olga"} | ({} if groups is None else {"cognito:groups": groups})
    assert call("GET", "/inventory/mug", claims=claims).status == status
    assert call("PUT", "/inventory/mug", {"availableQty": 3}, claims=claims).status == status


def test_an_operator_sets_stock_and_reads_it(levels):
    assert call("GET", "/inventory/mug", claims=OPERATOR).status == 404
    answer = call("PUT", "/inventory/mug", {"availableQty": 0}, claims=OPERATOR)
    assert (answer.status, answer.body) == (200, {"productId": "mug", "availableQty": 0})
    assert call("GET", "/inventory/mug", claims=OPERATOR).body == answer.body


@pytest.mark.parametrize(
    ("path", "body", "field_named"),
    [
        ("mug", {}, "availableQty"),
        ("mug", {"availableQty": -1}, "availableQty"),
        ("mug", {"availableQty": 1_000_000_001}, "availableQty"),
        ("mug", {"availableQty": "3"}, "availableQty"),
        ("mug", {"availableQty": 3, "unitPrice": 1}, "unitPrice"),
        ("mug", "3 pieces", "body"),
        ("a%20mug", {"availableQty": 3}, "productId"),
        ("m" * 65, {"availableQty": 3}, "productId"),
    ],
)
def test_a_wrong_stock_level_is_refused_by_the_name_of_its_field(levels, path, body, field_named):
    answer = call("PUT", f"/inventory/{path}", body, claims=OPERATOR)
    assert (answer.status, answer.wrong_fields, levels.kept) == (400, [field_named], {})


# What nobody foresaw


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/orders/{}"), ("POST", "/orders/{}/cancel"), ("GET", "/inventory/{}")]
)
def test_an_id_that_nothing_can_have_is_the_callers_fault(table, levels, method, path):
    assert call(method, path.format("x" * 2049), claims=OPERATOR).status in (400, 404)


def test_a_route_that_does_not_exist_is_a_problem_like_any_other(table):
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
