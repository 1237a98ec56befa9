"""A partner's orders, from the bus to the shop's operators: each taken once, as it was sent."""

import json
from typing import Any

import pytest

import intake.consumer
import intake.http
from eventflow.contracts import MalformedEvent
from eventflow.events import PartnerOrderReceived
from intake.partner_orders import ContentDiffers

from .api_gateway import ADA, OPERATOR, call
from .lambda_context import LambdaContext

pytestmark = pytest.mark.usefixtures("first_layer_off")


def partner_order(delivery: str = "d1", **body: Any) -> dict[str, Any]:
    """As any client puts it on the bus; None takes a field away."""
    fields = {"OrderId": "x-1", "Item": "a book", "Amount": 3, "IsMember": True, "ShippingMethod": "air", **body}
    return {
        "id": delivery,
        "source": "microservice_x",
        "detail-type": "microservice_x_test_event",
        "time": "2026-01-31T12:00:00Z",
        "detail": {"body": {name: value for name, value in fields.items() if value is not None}},
    }


def deliver(*events: dict[str, Any]) -> None:
    for event in events:
        intake.consumer.handler(json.loads(json.dumps(event)), LambdaContext())


def read(order: str = "x-1") -> Any:
    return call("GET", f"/partner-orders/{order}", claims=OPERATOR).body


def test_a_partners_order_is_taken_and_can_be_read(db):
    deliver(partner_order())
    assert read() == {"orderId": "x-1", "item": "a book", "amount": 3, "isMember": True, "shippingMethod": "air"}


def test_it_is_announced_with_what_led_to_it(db):
    deliver(partner_order("id-of-eventbridge"))
    (received,) = db.announcements
    detail = json.loads(received.detail)
    assert (received.source, received.detail_type) == ("eventflow.intake", "PartnerOrderReceived")
    assert detail.items() >= {**read(), "version": "1.0"}.items()
    assert detail["metadata"]["correlationId"] == "x-1"
    assert detail["metadata"]["causationId"] == "id-of-eventbridge"


def test_an_order_that_comes_again_under_whatever_identity_is_taken_once(db):
    deliver(partner_order("d1"), partner_order("d1"), partner_order("d2"))
    assert db.told == ["PartnerOrderReceived"]
    assert db.stored(intake.http.PARTNER_ORDERS, "x-1").revision == 1


def test_an_order_that_comes_twice_at_once_is_taken_once(db):
    db.meanwhile = [lambda: deliver(partner_order("d2"))]
    deliver(partner_order("d1"))
    assert db.told == ["PartnerOrderReceived"]


@pytest.mark.parametrize(
    "other",
    [
        {"Item": "two books"},
        {"Amount": 4},
        {"Amount": 3.5},
        {"IsMember": False},
        {"ShippingMethod": "sea"},
    ],
)
def test_another_order_under_its_id_is_refused_by_name_and_leaves_it_as_it_is(db, other):
    deliver(partner_order())
    before = read()
    with pytest.raises(ContentDiffers, match="x-1"):
        deliver(partner_order("d2", **other))
    assert (read(), db.told) == (before, ["PartnerOrderReceived"])


@pytest.mark.parametrize("amount", [0, 3, 12.5, 3.0, 0.1 + 0.2, 10**15, 99999999.99, 1e15])
def test_an_amount_comes_out_of_the_table_as_it_went_in(db, amount):
    deliver(partner_order(Amount=amount), partner_order("d2", Amount=amount))
    assert read()["amount"] == amount
    assert isinstance(db.stored(intake.http.PARTNER_ORDERS, "x-1").state, PartnerOrderReceived)
    assert json.loads(db.announcements[0].detail)["amount"] == amount


def test_fields_that_nobody_agreed_on_are_ignored(db):
    event = partner_order(Colour="blue")
    event["detail"]["headers"] = {}
    deliver(event, partner_order("d2", Colour="red"))
    assert "colour" not in {name.lower() for name in read()}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"OrderId": None}, "body"),
        ({"OrderId": ""}, "body.OrderId"),
        ({"OrderId": 7}, "body.OrderId"),
        ({"OrderId": "x" * 65}, "body.OrderId"),
        ({"Item": ""}, "body.Item"),
        ({"Item": "i" * 201}, "body.Item"),
        ({"Amount": "3"}, "body.Amount"),
        ({"Amount": -1}, "body.Amount"),
        ({"Amount": -0.5}, "body.Amount"),
        ({"Amount": True}, "body.Amount"),
        ({"Amount": float("inf")}, "body.Amount"),  # what JSON's 1e400 is read as
        ({"Amount": 1e200}, "body.Amount"),  # no number of DynamoDB
        ({"Amount": 10**40}, "body.Amount"),
        ({"IsMember": "yes"}, "body.IsMember"),
        ({"IsMember": 1}, "body.IsMember"),
        ({"ShippingMethod": None}, "body"),
        ({"ShippingMethod": ""}, "body.ShippingMethod"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_malformed_order_is_refused_by_the_name_of_its_field(db, fields, path):
    with pytest.raises(MalformedEvent) as refused:
        deliver(partner_order(**fields))
    assert str(refused.value).startswith("microservice_x_test_event: ")
    assert str(refused.value).endswith(f"at `$.detail.{path}`")
    assert db.asked == []


def test_an_order_in_no_body_is_none(db):
    event = partner_order()
    with pytest.raises(MalformedEvent, match="`body`"):
        deliver({**event, "detail": event["detail"]["body"]})


@pytest.mark.parametrize("source", ["eventflow.orders", "microservice_y"])
def test_nobody_else_speaks_for_the_partner(db, source):
    with pytest.raises(MalformedEvent, match=source):
        deliver({**partner_order(), "source": source})


def test_only_an_operator_reads_them(db):
    deliver(partner_order())
    shoppers = [call("GET", f"/partner-orders/{order}", claims=ADA) for order in ("x-1", "none")]
    assert [answer.status for answer in shoppers] == [403, 403]
    assert "book" not in shoppers[0].text
    assert call("GET", "/partner-orders/none", claims=OPERATOR).status == 404
    too_long = call("GET", f"/partner-orders/{'x' * 65}", claims=OPERATOR)
    assert (too_long.status, too_long.wrong_fields) == (400, ["orderId"])
