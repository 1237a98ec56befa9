"""The published language: what goes on the bus, and what of it is taken back."""

import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from eventflow.attributes import to_attributes
from eventflow.contracts import Fact, MalformedEvent, Received, read_event
from eventflow.events import (
    BasketCheckedOut,
    InventoryFailed,
    InventoryReserved,
    Line,
    OrderCancelled,
    OrderCreated,
    PartnerOrderPlaced,
    PaymentFailed,
    PaymentSucceeded,
    ProductChanged,
    ProductRemoved,
    Shipping,
    ShortLine,
    StepFailed,
)
from eventflow.outbox import announce
from orders import orders
from payment import payments
from payment.gateway import Declined

from . import bus
from .bus import PUBLISHED


def values(of: inspect.Type) -> st.SearchStrategy[Any]:
    """Everything that the contract allows, so that an event added to it is tested with no change here."""
    match of:
        case inspect.NoneType():
            return st.none()
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType():
            return st.integers(of.ge, of.le)
        case inspect.FloatType():
            return st.floats(of.ge, of.le, allow_nan=False, allow_infinity=False)
        case inspect.StrType(pattern=None):
            return st.text(min_size=of.min_length or 0, max_size=of.max_length or 300)
        case inspect.StrType():
            matching = st.from_regex(of.pattern.removesuffix("$") + r"\Z")
            return matching.filter(lambda text: len(text) <= (of.max_length or 300))
        case inspect.UnionType():
            return st.one_of(*map(values, of.types))
        case inspect.VarTupleType():
            once_each = {"unique_by": lambda line: line.product_id}
            return st.lists(values(of.item_type), min_size=of.min_length or 0, max_size=4, **once_each).map(tuple)
        case inspect.Metadata():
            return values(of.type)
        case inspect.StructType():
            return st.builds(of.cls, **{field.name: values(field.type) for field in of.fields})
    raise NotImplementedError(of)


FACTS = {kind: values(inspect.type_info(kind)) for kind in PUBLISHED}
"""Made once: to make one takes longer than to draw from it."""


def delivered(fact: Fact, cause: Received | None = None) -> dict[str, Any]:
    return bus.delivered(announce(fact, cause))


def order_of(fact: Any) -> str | None:
    """The order that a fact is about, under whatever name."""
    match fact:
        case ProductChanged() | ProductRemoved():
            return None
        case BasketCheckedOut():
            return fact.checkout_id
        case PartnerOrderPlaced():
            return fact.body.order_id
    return fact.order_id


cause = read_event(delivered(PaymentSucceeded(order_id="o1", user_id="ada", payment_id="p1")), PaymentSucceeded)


@pytest.mark.parametrize("kind", PUBLISHED)
@given(data=st.data())
@settings(max_examples=60)
def test_every_event_is_read_as_the_fact_that_was_announced(kind, data):
    fact = data.draw(FACTS[kind])
    led_to_by = data.draw(st.sampled_from([None, cause]))
    event = delivered(fact, led_to_by)
    metadata = event["detail"]["metadata"]

    received = read_event(event, *PUBLISHED)

    assert received == Received(
        fact=fact,
        source=type(fact).SOURCE,
        detail_type=type(fact).detail_type(),
        version=event["detail"]["version"],
        event_id=metadata["eventId"],
        occurred_at=metadata["occurredAt"],
        causation_id=led_to_by.event_id if led_to_by else None,
    )
    assert metadata.get("correlationId") == fact.correlation_id == order_of(fact)
    assert received.event_id != event["id"]
    occurred = datetime.fromtimestamp(received.occurred_at / 1000, UTC)
    assert event["detail"]["timestamp"] == occurred.isoformat(timespec="milliseconds")


def parts(of: inspect.Type) -> Iterator[type]:
    """Every Struct inside."""
    match of:
        case inspect.UnionType():
            for part in of.types:
                yield from parts(part)
        case inspect.VarTupleType():
            yield from parts(of.item_type)
        case inspect.StructType():
            yield of.cls
            for field in of.fields:
                yield from parts(field.type)


def test_only_one_event_says_whom_an_order_goes_to():
    assert [kind for kind in PUBLISHED if Shipping in parts(inspect.type_info(kind))] == [BasketCheckedOut]
    fields = {name for kind in PUBLISHED if kind is not BasketCheckedOut for name in kind.__struct_fields__}
    assert not fields & {"first_name", "last_name", "email", "address", "shipping"}


def test_no_fact_is_published_under_the_identity_of_another():
    fact = PaymentSucceeded(order_id="o1", user_id="ada", payment_id="p1")
    assert announce(fact).id != announce(fact).id


MUG = Line(product_id="mug", quantity=2)
LAMP = Line(product_id="lamp", quantity=1)
SHORT_MUG = ShortLine(product_id="mug", quantity=2, available_qty=1)
SHORT_LAMP = ShortLine(product_id="lamp", quantity=1, available_qty=0)
WHOSE = {"order_id": "o1", "user_id": "ada"}
ON_THE_WIRE = {"orderId": "o1", "userId": "ada"}


@pytest.mark.parametrize(
    ("fact", "version", "fields"),
    [
        (OrderCreated(**WHOSE, items=(MUG,)), "1.0", {"productId": "mug", "quantity": 2}),
        (
            OrderCreated(
                **WHOSE,
                items=(Line(product_id="mug", quantity=2, unit_price=1999),),
                total_price=3998,
                currency="USD",
            ),
            "1.0",
            {"productId": "mug", "quantity": 2, "unitPrice": 1999, "totalPrice": 3998, "currency": "USD"},
        ),
        (
            OrderCreated(**WHOSE, items=(MUG, LAMP)),
            "2.0",
            {"items": [{"productId": "mug", "quantity": 2}, {"productId": "lamp", "quantity": 1}]},
        ),
        (
            PaymentFailed(**WHOSE, items=(MUG,), reason="declined"),
            "1.0",
            {"productId": "mug", "quantity": 2, "reason": "declined"},
        ),
        (
            PaymentFailed(**WHOSE, items=(MUG, LAMP), reason="declined"),
            "2.0",
            {
                "items": [{"productId": "mug", "quantity": 2}, {"productId": "lamp", "quantity": 1}],
                "reason": "declined",
            },
        ),
        (
            InventoryFailed(**WHOSE, items=(SHORT_MUG,), reason="out of stock"),
            "1.0",
            {"productId": "mug", "quantity": 2, "availableQty": 1, "reason": "out of stock"},
        ),
        (
            InventoryFailed(**WHOSE, items=(SHORT_MUG, SHORT_LAMP), reason="out of stock"),
            "2.0",
            {
                "items": [
                    {"productId": "mug", "quantity": 2, "availableQty": 1},
                    {"productId": "lamp", "quantity": 1, "availableQty": 0},
                ],
                "reason": "out of stock",
            },
        ),
        (InventoryReserved(**WHOSE, items=(MUG,)), "1.0", {"items": [{"productId": "mug", "quantity": 2}]}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Fact) else None,
)
def test_an_event_has_its_published_fields_and_no_others(fact, version, fields):
    detail = delivered(fact)["detail"]
    assert set(detail.pop("metadata")) == {"eventId", "occurredAt", "correlationId"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", detail.pop("timestamp"))
    assert detail == {**ON_THE_WIRE, **fields, "version": version}


@pytest.mark.parametrize("kind", [ProductChanged, ProductRemoved])
def test_an_event_about_a_product_tells_all_that_a_price_list_needs(kind):
    product = kind(product_id="mug", name="Mug", category="mugs", unit_price=1250, currency="USD", revision=3)
    detail = delivered(product)["detail"]
    assert set(detail.pop("metadata")) == {"eventId", "occurredAt"}
    assert detail.pop("timestamp")
    named = {"productId": "mug", "name": "Mug", "category": "mugs"}
    assert detail == {**named, "unitPrice": 1250, "currency": "USD", "revision": 3, "version": "1.0"}


def test_a_declined_order_with_prices_is_still_announced_as_its_first_consumers_know_it():
    priced = Line(product_id="mug", quantity=2, unit_price=1999)
    order = OrderCreated(**WHOSE, items=(priced,), total_price=3998, currency="USD")
    charging = payments.intend_charge(None, order, "key", 0).state
    failed = payments.charged(charging, order, Declined("declined")).fact

    fields = delivered(failed)["detail"].keys() - {"timestamp", "version", "metadata"}

    assert fields == {"orderId", "userId", "productId", "quantity", "reason"}


# What others send

ORDER_CREATED = {
    "id": "id-of-eventbridge",
    "source": "eventflow.orders",
    "detail-type": "OrderCreated",
    "time": "2026-01-31T12:00:00Z",
    "detail": {"orderId": "o1", "userId": "ada", "productId": "mug", "quantity": 2, "version": "1.0"},
}
METADATA = {"eventId": "e1", "occurredAt": 1_800_000_000_000}
NOON = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp() * 1000)


def order_created(**detail: Any) -> dict[str, Any]:
    """The event above with these fields in its detail; None takes one away."""
    event = deepcopy(ORDER_CREATED)
    event["detail"] = {name: it for name, it in {**event["detail"], **detail}.items() if it is not None}
    return event


def test_an_event_without_metadata_is_known_by_eventbridges_id_and_time():
    received = read_event(ORDER_CREATED, OrderCreated)
    assert (received.event_id, received.occurred_at, received.causation_id) == ("id-of-eventbridge", NOON, None)
    assert received.fact == OrderCreated(**WHOSE, items=(MUG,))


def test_an_event_without_a_version_is_of_the_first():
    assert read_event(order_created(version=None), OrderCreated).fact.items == (MUG,)


def test_unknown_fields_and_newer_minor_versions_are_tolerated():
    event = order_created(
        version="1.7", giftWrap={"paper": "blue"}, metadata={**METADATA, "tenant": "acme", "traceparent": None}
    )
    assert read_event(event | {"replay-name": "july"}, OrderCreated).fact.items == (MUG,)


def test_a_failure_of_a_service_that_nobody_here_knows_is_read_by_its_suffix():
    event = {"id": "e9", "source": "fraud", "detail-type": "FraudCheckFailed", "detail": {"orderId": "o1"}}
    received = read_event(event, PaymentSucceeded, StepFailed)
    assert (received.fact, received.detail_type) == (StepFailed(order_id="o1"), "FraudCheckFailed")


def veto(**detail: Any) -> dict[str, Any]:
    return {
        "id": "id-of-eventbridge",
        "source": "fraud",
        "detail-type": "FraudCheckFailed",
        "time": "2026-01-31T12:00:00Z",
        "detail": {"orderId": "o1", "reason": "stolen card", **detail},
    }


@pytest.mark.parametrize("version", ["1.0", "2.0", "3.0", "nine", "", 1, 1.5, None, True, {}, []])
def test_a_failure_vetoes_in_any_version(version):
    assert read_event(veto(version=version), StepFailed).fact == StepFailed(order_id="o1", reason="stolen card")


@pytest.mark.parametrize("reason", [None, 7, False, {"code": "R7"}, ["stolen"]])
def test_a_failure_vetoes_whatever_it_calls_a_reason(reason):
    assert read_event(veto(reason=reason), StepFailed).fact == StepFailed(order_id="o1")


@pytest.mark.parametrize("character", ["\ud800", "\uffff", "\0"])
def test_of_a_failures_reason_what_no_queue_could_carry_is_replaced(character):
    """It goes on in OrderCancelled, which would be lost on its way into a failed-events queue."""
    assert read_event(veto(reason=f"card {character} stolen"), StepFailed).fact.reason == "card \ufffd stolen"


BY_EVENTBRIDGE = ("id-of-eventbridge", NOON, None)


@pytest.mark.parametrize(
    ("metadata", "known_by"),
    [
        (METADATA, ("e1", METADATA["occurredAt"], None)),
        ({**METADATA, "causationId": "e0"}, ("e1", METADATA["occurredAt"], "e0")),
        ({"eventId": "e1"}, ("e1", NOON, None)),
        ({"occurredAt": 1_800_000_000_000}, ("id-of-eventbridge", 1_800_000_000_000, None)),
        ({"eventId": "e1", "occurredAt": "noon", "causationId": 7}, ("e1", NOON, None)),
        ({"eventId": "e1", "occurredAt": 10**15}, ("e1", NOON, None)),
        ({"eventId": 7, "occurredAt": -1, "causationId": ""}, BY_EVENTBRIDGE),
        ({"eventId": "", "occurredAt": True}, BY_EVENTBRIDGE),
        ({"eventId": "x" * 257}, BY_EVENTBRIDGE),
        ({"eventId": "\udfff"}, BY_EVENTBRIDGE),
        *((none, BY_EVENTBRIDGE) for none in (None, "e1", 7, [], {}, False)),
    ],
)
def test_what_metadata_of_a_failure_do_not_say_eventbridge_does(metadata, known_by):
    received = read_event(veto(metadata=metadata), StepFailed)
    assert (received.event_id, received.occurred_at, received.causation_id) == known_by


@pytest.mark.parametrize(("number", "order_id"), [(17, "17"), (0, "0"), (-1, "-1"), (10**63, f"{10**63}")])
def test_a_whole_number_names_the_order_of_that_text(number, order_id):
    assert read_event(veto(orderId=number), StepFailed).fact.order_id == order_id


@pytest.mark.parametrize(
    "nothing", [None, True, 17.0, 1.5, "", "x" * 65, 10**64, ["o1"], {"id": "o1"}, "\ud800"], ids=repr
)
def test_a_failure_that_names_no_order_is_refused_by_the_name_of_the_field(nothing):
    with pytest.raises(MalformedEvent, match=r"^FraudCheckFailed: .* at `\$\.detail\.orderId`$"):
        read_event(veto(orderId=nothing), StepFailed)


def test_a_failure_without_the_field_is_refused_by_its_name():
    event = veto()
    del event["detail"]["orderId"]
    with pytest.raises(MalformedEvent, match=r"^FraudCheckFailed: .* field `orderId` - at `\$\.detail`$"):
        read_event(event, StepFailed)


ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=20)
"""Half characters (`\\ud800`) too, which JSON can hold."""
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(ANY_TEXT, values, max_size=4),
    max_leaves=10,
)
METADATA_OF_ANYONE = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["eventId", "occurredAt", "causationId", "correlationId", "traceparent"], ANY_JSON)
)
AROUND_AN_ORDER_ID = st.fixed_dictionaries(
    {}, optional={"version": ANY_JSON, "reason": ANY_JSON, "metadata": METADATA_OF_ANYONE | ANY_JSON}
)


@pytest.mark.parametrize(
    ("source", "detail_type"),
    [
        ("fraud", "FraudCheckFailed"),
        ("eventflow.payment", "PaymentFailed"),
        ("eventflow.inventory", "InventoryFailed"),
        ("", "Failed"),
    ],
)
@given(
    order_id=st.text(st.characters(codec="utf-8"), min_size=1, max_size=64) | st.integers(-(2**63), 2**63 - 1),
    known=AROUND_AN_ORDER_ID,
    unknown=st.dictionaries(ANY_TEXT, ANY_JSON, max_size=4),
)
@settings(max_examples=60)
def test_a_failure_calls_its_order_off_whatever_else_is_in_it(source, detail_type, order_id, known, unknown):
    # given
    named = str(order_id)
    order = orders.Order(order_id=named, user_id="ada", items=(MUG,), status=orders.Status.PENDING, created_at="")
    detail = {**unknown, **known, "orderId": order_id}

    # when
    event = {"id": "e9", "source": source, "detail-type": detail_type, "detail": detail}
    received = read_event(event, PaymentSucceeded, StepFailed)
    change = orders.step_failed(order, received.fact, received.detail_type, now=0)

    # then it can be written, too
    assert to_attributes(change.state)["status"]["S"] in ("CANCELLED", "PAYMENT_FAILED", "INVENTORY_FAILED")
    assert announce(change.fact, received).detail_type == "OrderCancelled"
    assert (change.fact.order_id, bool(change.fact.reason)) == (named, True)


@pytest.mark.parametrize("field", ["reason", "version", "metadata", "anything"])
@pytest.mark.parametrize("size", [1, 250_000])
def test_a_failure_as_deep_or_as_large_as_eventbridge_takes_is_read(field, size):
    # PutEvents takes JSON of a thousand levels, and 256 KB
    deep: Any = "x" * size
    for _ in range(1_000):
        deep = {"eventId": deep}
    for value in (deep, "x" * size, {"eventId": "x" * size, "occurredAt": 1, "causationId": "x" * size}):
        received = read_event(veto(**{field: value}), StepFailed)
        off = OrderCancelled(order_id="o1", user_id="ada", reason=received.fact.reason[:500])
        assert len(announce(off, received).detail) < 2_000


def items(*lines: dict[str, Any]) -> dict[str, Any]:
    return order_created(version="2.0", productId=None, quantity=None, items=list(lines))


A_MUG = {"productId": "mug", "quantity": 1}


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        pytest.param("OrderCreated", "Expected `object`, got `str`", id="not an event"),
        pytest.param(ORDER_CREATED | {"id": ""}, "at `$.id`", id="no identity"),
        pytest.param({k: v for k, v in ORDER_CREATED.items() if k != "detail"}, "field `detail`", id="no detail"),
        pytest.param(
            ORDER_CREATED | {"detail": []}, "Expected `object`, got `array` - at `$.detail`", id="detail is a list"
        ),
        pytest.param(ORDER_CREATED | {"time": "noon"}, "at `$.time`", id="time is no time"),
        pytest.param(ORDER_CREATED | {"source": "elsewhere"}, "OrderCreated of elsewhere", id="another source"),
        pytest.param(
            ORDER_CREATED | {"detail-type": "OrderShipped"}, "OrderShipped of eventflow.orders", id="another type"
        ),
        pytest.param(
            order_created(orderId=None), "OrderCreated: .*field `orderId` - at `$.detail`", id="a missing field"
        ),
        pytest.param(
            order_created(quantity="two"), "OrderCreated: .*`str` - at `$.detail.quantity`", id="a wrong type"
        ),
        pytest.param(order_created(quantity=0), "at `$.detail.quantity`", id="zero pieces"),
        pytest.param(order_created(productId=""), "at `$.detail.productId`", id="no product"),
        pytest.param(order_created(productId="mug\n"), "at `$.detail.productId`", id="a line break in a product"),
        pytest.param(order_created(unitPrice=-1), "at `$.detail.unitPrice`", id="a negative price"),
        pytest.param(order_created(currency="US"), "at `$.detail.currency`", id="a currency of two letters"),
        pytest.param(items(), "at `$.detail.items`", id="no items"),
        pytest.param(
            items(*({"productId": f"p{n}", "quantity": 1} for n in range(51))),
            "at `$.detail.items`",
            id="too many items",
        ),
        pytest.param(
            items(A_MUG, {"productId": "lamp", "quantity": 0}), "at `$.detail.items[1].quantity`", id="a wrong item"
        ),
        pytest.param(
            items(A_MUG, A_MUG),
            "product mug is there twice - at `$.detail.items[1].productId`",
            id="a repeated product",
        ),
        pytest.param(
            order_created(version="3.0"), "OrderCreated: .*'3.0'.* at `$.detail.version`", id="an unknown major version"
        ),
        pytest.param(
            order_created(version=1.0), "OrderCreated: .*at `$.detail.version`", id="a version that is a number"
        ),
        pytest.param(
            order_created(metadata={"occurredAt": 1}),
            "`eventId` - at `$.detail.metadata`",
            id="metadata without identity",
        ),
        pytest.param(
            order_created(metadata=METADATA | {"eventId": ""}), "at `$.detail.metadata.eventId`", id="an empty identity"
        ),
    ],
)
def test_a_malformed_event_is_refused_with_an_error_that_names_its_field(event, complaint):
    with pytest.raises(MalformedEvent) as refused:
        read_event(event, OrderCreated)
    wanted = ".*".join(re.escape(part) for part in complaint.split(".*"))
    assert re.search(wanted, str(refused.value)), str(refused.value)


@pytest.mark.parametrize(
    ("detail", "where"),
    [
        ({"userId": "\ud800"}, "`$.detail.userId`"),
        ({"quantity": "\udfff"}, "`$.detail.quantity`"),
        ({"metadata": {"eventId": "\ud800", "occurredAt": 1}}, "`$.detail.metadata.eventId`"),
        ({"metadata": {"eventId": "e1", "occurredAt": 10**30}}, "`$.detail.metadata.occurredAt`"),
        ({"metadata": {"eventId": "e1", "occurredAt": -1}}, "`$.detail.metadata.occurredAt`"),
    ],
)
def test_a_text_or_a_time_that_nothing_can_keep_is_refused_by_the_name_of_its_field(detail, where):
    order = {"orderId": "o1", "userId": "ada", "productId": "mug", "quantity": 1}
    event = {"id": "d1", "source": "eventflow.orders", "detail-type": "OrderCreated", "detail": order | detail}
    with pytest.raises(MalformedEvent) as refused:
        read_event(event, OrderCreated)
    assert where in str(refused.value)
    str(refused.value).encode()


def test_what_is_not_read_may_hold_half_a_character():
    order = {"orderId": "o1", "userId": "ada", "productId": "mug", "quantity": 1, "gift": {"note": "\ud800"}}
    event = {"id": "d1", "source": "eventflow.orders", "detail-type": "OrderCreated", "detail": order}
    assert read_event(event, OrderCreated).fact.order_id == "o1"
