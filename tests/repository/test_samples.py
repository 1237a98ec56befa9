"""events/ has a sample for every way into every function, and each sample is what that function really gets."""

import ast
import hashlib
import importlib
import inspect
import itertools
import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

import basket.http
import catalog.http
import intake.consumer
import intake.http
import inventory.consumer
import orders.checkouts
import orders.http
import payment.consumer
from eventflow import price_list
from eventflow.contracts import Fact, read_event
from ops.patterns import matches
from orders.orders import order_id_for
from relay.publish import announced

from ..sam_template import (
    ALL_FUNCTIONS,
    FUNCTIONS,
    ROOT,
    STATE_MACHINES,
    attribute,
    kept_events,
    resources,
    service_of,
    triggers,
)
from ..unit.bus import PUBLISHED, delivered
from ..unit.console import console
from ..unit.keeper import kept, row_of, summed_up
from ..unit.lambda_context import LambdaContext

SAMPLES: dict[str, Any] = {
    str(path.relative_to(ROOT / "events")): json.loads(path.read_text())
    for path in sorted((ROOT / "events").rglob("*.json"))
}


def is_batch_of(source: str, sample: Any) -> bool:
    return {record["eventSource"] for record in sample.get("Records", [])} == {source}


BUS_SAMPLES = [name for name, sample in SAMPLES.items() if "detail-type" in sample]
API_SAMPLES = [name for name, sample in SAMPLES.items() if "httpMethod" in sample]
STREAM_SAMPLES = [name for name, sample in SAMPLES.items() if is_batch_of("aws:dynamodb", sample)]
QUEUE_SAMPLES = [name for name, sample in SAMPLES.items() if is_batch_of("aws:sqs", sample)]


@dataclass(frozen=True)
class Trigger:
    function: str
    name: str
    kind: str
    properties: dict[str, Any]

    def fires_on(self, sample: Any) -> bool:
        match self.kind:
            case "Api":
                asked = sample.get("httpMethod"), sample.get("resource")
                return asked == (self.properties["Method"], self.properties["Path"])
            case "EventBridgeRule":
                return matches(self.properties["Pattern"], sample)
            case "Kept":
                return matches(kept_events(), sample)
            case "Stream":
                # of any table: relay treats them alike
                filters = [json.loads(it["Pattern"]) for it in self.properties["FilterCriteria"]["Filters"]]
                return is_batch_of("aws:dynamodb", sample) and all(
                    any(matches(pattern, record) for pattern in filters) for record in sample["Records"]
                )
            case "Queue":
                queue = self.properties["EventSourceArn"]["Fn::GetAtt"][0]
                patterns = [
                    rule["EventPattern"]
                    for rule in resources("AWS::Events::Rule").values()
                    if attribute(queue) in [target["Arn"] for target in rule["Targets"]]
                ]
                return is_batch_of("aws:sqs", sample) and all(
                    f":eventflow-{queue}-" in record["eventSourceARN"]
                    and any(matches(pattern, json.loads(record["body"])) for pattern in patterns)
                    for record in sample["Records"]
                )
        raise NotImplementedError(self.kind)

    @property
    def samples(self) -> list[str]:
        service = "timeline" if self.kind == "Kept" else service_of(self.function)
        return [name for name, it in SAMPLES.items() if name.startswith(f"{service}/") and self.fires_on(it)]


TRIGGERS = [
    *(
        Trigger(function, name, event["Type"], event["Properties"])
        for function, properties in ALL_FUNCTIONS.items()
        for name, event in properties.get("Events", {}).items()
    ),
    *(
        Trigger(
            function, name, "Stream" if mapping["EventSourceArn"]["Fn::GetAtt"][1] == "StreamArn" else "Queue", mapping
        )
        for name, mapping in resources("AWS::Lambda::EventSourceMapping").items()
        for function in FUNCTIONS
        if mapping["FunctionName"] == {"Ref": f"{function}.Alias"}
    ),
    Trigger("Keeper", "AllEvents", "Kept", STATE_MACHINES["Keeper"]["Events"]["AllEvents"]["Properties"]),
]


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: f"{trigger.function}.{trigger.name}")
def test_every_way_in_has_a_sample(trigger):
    assert trigger.samples
    named = trigger.properties.get("Pattern", {}).get("detail-type", []) if trigger.kind == "EventBridgeRule" else []
    sampled = {SAMPLES[name]["detail-type"] for name in trigger.samples if name in BUS_SAMPLES}
    assert {it for it in named if isinstance(it, str)} <= sampled


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_sample_is_of_a_way_in(sample):
    assert any(sample in trigger.samples for trigger in TRIGGERS)


def facts_read_by(function: str) -> list[type[Fact]]:
    """The arguments of the `@subscriber(...)`, `@projection(...)` or `@queue_subscriber(...)` of its handler."""
    module = importlib.import_module(FUNCTIONS[function]["Handler"].rpartition(".")[0])
    (decorator,) = (
        decorator
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.FunctionDef) and node.name == "handler"
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
    )
    return [getattr(module, name.id) for name in decorator.args if isinstance(name, ast.Name)]


def events_in(sample: str) -> list[dict[str, Any]]:
    """What a sample brings from the bus, directly or by way of a queue."""
    if sample in QUEUE_SAMPLES:
        return [json.loads(record["body"]) for record in SAMPLES[sample]["Records"]]
    return [SAMPLES[sample]]


@pytest.mark.parametrize("sample", BUS_SAMPLES + QUEUE_SAMPLES)
def test_an_event_keeps_the_contract_of_the_functions_that_it_goes_to(sample):
    readers = {trigger.function for trigger in TRIGGERS if sample in trigger.samples and trigger.kind != "Kept"}
    for reader, event in itertools.product(readers, events_in(sample)):
        received = read_event(event, *facts_read_by(reader))
        metadata = event["detail"].get("metadata", {})
        assert received.event_id == metadata.get("eventId", event["id"])
        assert received.fact.correlation_id == metadata.get("correlationId", received.fact.correlation_id)


@pytest.mark.parametrize("sample", QUEUE_SAMPLES)
def test_a_message_is_whole(sample):
    for record in SAMPLES[sample]["Records"]:
        assert record["md5OfBody"] == hashlib.md5(record["body"].encode()).hexdigest()


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if triggers(name, "EventBridgeRule")])
def test_each_event_that_a_function_reads_is_let_through_by_its_rules(function):
    sampled = {name for trigger in TRIGGERS if trigger.function == function for name in trigger.samples}
    facts = facts_read_by(function)
    read = {type(read_event(SAMPLES[name], *facts).fact) for name in sampled}
    assert read == set(facts)


@pytest.mark.parametrize("fact", PUBLISHED, ids=lambda fact: fact.detail_type())
def test_a_function_is_sent_nothing_that_it_does_not_read(fact):
    event = {"source": fact.SOURCE, "detail-type": fact.detail_type(), "detail": {"orderId": "o1"}}
    for trigger in TRIGGERS:
        if trigger.kind == "EventBridgeRule" and matches(trigger.properties["Pattern"], event):
            read = facts_read_by(trigger.function)
            assert any(it.is_announced_by(fact.SOURCE, fact.detail_type()) for it in read), trigger


def test_foreign_events_without_metadata_have_samples_too():
    foreign = {name for name in BUS_SAMPLES if "metadata" not in SAMPLES[name]["detail"]}
    assert foreign == {
        *("payment/order-created-without-metadata.json", "orders/fraud-check-failed.json"),
        "intake/partner-order.json",
    }


def published_by(sample: str) -> list[dict[str, Any]]:
    return [delivered(it) for it in announced(SAMPLES[sample]["Records"])]


def test_the_streams_announce_what_their_services_publish():
    told = {name: [read_event(it, *PUBLISHED).detail_type for it in published_by(name)] for name in STREAM_SAMPLES}
    assert told == {
        "relay/baskets-stream.json": ["BasketCheckedOut"],
        "relay/orders-stream.json": ["OrderCreated"],
        "relay/partner-orders-stream.json": ["PartnerOrderReceived"],
        "relay/payments-stream.json": ["PaymentSucceeded"],
        "relay/products-stream.json": ["ProductChanged"],
        "relay/reservations-stream.json": ["InventoryReserved"],
    }
    assert len(SAMPLES["relay/orders-stream.json"]["Records"]) == 2, "an insert, and an update that announces nothing"


@pytest.mark.parametrize(
    ("sample", "table"),
    [
        ("relay/baskets-stream.json", basket.http.BASKETS),
        ("relay/orders-stream.json", orders.http.ORDERS),
        ("relay/partner-orders-stream.json", intake.http.PARTNER_ORDERS),
        ("relay/payments-stream.json", payment.consumer.PAYMENTS),
        ("relay/products-stream.json", catalog.http.PRODUCTS),
        ("relay/reservations-stream.json", inventory.consumer.WAREHOUSE),
    ],
)
def test_a_streams_rows_are_as_their_service_writes_them(sample, table):
    for record in SAMPLES[sample]["Records"]:
        for image in (record["dynamodb"].get("OldImage"), record["dynamodb"]["NewImage"]):
            if image:
                stored = table.stored(image)
                rewritten = table.put(stored.state, stored.revision, None)["Item"]
                assert rewritten == {name: it for name, it in image.items() if name not in ("event", "note")}


def test_what_one_service_is_sent_is_what_another_published():
    """The same fact under the same eventId everywhere."""
    everything = [
        *(event for name in BUS_SAMPLES + QUEUE_SAMPLES for event in events_in(name)),
        *(event for name in STREAM_SAMPLES for event in published_by(name)),
    ]
    details: dict[str, Any] = {}
    for event in everything:
        if metadata := event["detail"].get("metadata"):
            assert details.setdefault(metadata["eventId"], event["detail"]) == event["detail"]
    causes = {it["metadata"].get("causationId") for it in details.values()} - {None}
    partner = SAMPLES["intake/partner-order.json"]["id"]
    assert causes <= details.keys() | {partner}


def ask(sample: str) -> Any:
    """What the API answers to a sample."""
    service = importlib.import_module(f"{sample.partition('/')[0]}.http")
    answer = service.handler(SAMPLES[sample], LambdaContext())
    assert answer["statusCode"] in (200, 201, 202, 204), f"{sample}: {answer['body']}"
    return json.loads(answer["body"] or "null")


def deliver(handler: Any, sample: str) -> Any:
    return handler(SAMPLES[sample], LambdaContext())


@pytest.mark.usefixtures("first_layer_off")
def test_the_samples_tell_the_story_of_a_shop(db, monkeypatch):
    asked: list[str] = []

    def tell(*samples: str) -> list[Any]:
        asked.extend(samples)
        return [ask(sample) for sample in samples]

    # Olga sells espresso, changes its price, and has a delivery
    product, repriced, listed, read = tell(
        *("catalog/create-product.json", "catalog/replace-product.json"),
        *("catalog/browse-products.json", "catalog/read-product.json"),
    )
    assert repriced == read == {**product, "unitPrice": 1999, "revision": 2}
    assert listed["items"] == [read]
    (level, same_level) = tell("inventory/adjust-stock.json", "inventory/read-stock.json")
    assert level == same_level

    # the price lists get it; they know already that matcha is sold
    db.sells("matcha", 2450)
    for prices in (basket.http.PRICES, orders.http.PRICES):
        monkeypatch.setattr(price_list, "PRICES", prices)
        deliver(price_list.handler, "basket/product-changed.json")
        deliver(price_list.handler, "orders/product-changed.json")

    # Ada orders, twice, and calls one off
    placed, several, listed, read, cancelled = tell(
        *("orders/place-order.json", "orders/place-order-of-several-products.json", "orders/list-orders.json"),
        *("orders/read-order.json", "orders/cancel-order.json"),
    )
    for order, event in ((placed, "payment/order-created"), (several, "payment/order-created-of-several-products")):
        priced = ("orderId", "userId", "totalPrice", "currency")
        assert [order[name] for name in priced] == [SAMPLES[f"{event}.json"]["detail"][name] for name in priced]
    assert several["items"] == SAMPLES["payment/order-created-of-several-products.json"]["detail"]["items"]
    assert placed == read
    assert placed in listed["items"]
    changed = {"status": "CANCELLED", "reason": "cancelled by the shopper", "updatedAt": cancelled["updatedAt"]}
    assert cancelled == {**placed, **changed}

    # and fills a basket, thinks again, and checks it out
    filled, shown, taken_out = tell("basket/put-item.json", "basket/show-basket.json", "basket/take-out-item.json")
    assert (filled, taken_out["items"]) == (shown, [])
    ask("basket/put-item.json")
    assert tell("basket/empty-basket.json") == [taken_out]
    ask("basket/put-item.json")
    hers, anothers = events_in("orders/checkouts.json")
    monkeypatch.setattr(basket.http, "uuid", SimpleNamespace(uuid4=lambda: hers["detail"]["checkoutId"]))
    (checked_out,) = tell("basket/check-out.json")

    # which the queue brings to orders as it was announced
    (announced_,) = (it for it in db.announcements if it.detail_type == "BasketCheckedOut")
    assert hers["detail"] in [it["detail"] for it in published_by("relay/baskets-stream.json")]
    said = {"checkoutId", "userId", "items", "totalPrice", "currency", "shipping"}
    detail = json.loads(announced_.detail)
    assert {name: detail[name] for name in said} == {name: hers["detail"][name] for name in said}
    assert deliver(orders.checkouts.handler, "orders/checkouts.json") == {"batchItemFailures": []}
    ordered = {order["orderId"]: order for order in ask("orders/list-orders.json")["items"]}
    assert ordered[checked_out["orderId"]]["totalPrice"] == shown["totalPrice"]
    assert db.stored(orders.http.ORDERS, anothers["detail"]["checkoutId"])

    # a partner orders, too
    deliver(intake.consumer.handler, "intake/partner-order.json")
    (partner_order,) = tell("intake/read-partner-order.json")
    (received,) = published_by("relay/partner-orders-stream.json")
    assert partner_order.items() <= received["detail"].items()

    # and one day Olga sells no more espresso
    tell("catalog/remove-product.json")
    monkeypatch.setattr(price_list, "PRICES", basket.http.PRICES)
    deliver(price_list.handler, "basket/product-removed.json")
    deliver(price_list.handler, "orders/product-removed.json")
    assert not db.stored(basket.http.PRICES, "espresso").state.sold
    in_it = {name.partition("/")[0] for name in asked}
    assert in_it == {"basket", "catalog", "intake", "inventory", "orders"}
    assert sorted(asked) == [name for name in API_SAMPLES if name.partition("/")[0] in in_it]

    # a sample about an order is about one that Ada placed
    shopper = SAMPLES["orders/place-order.json"]["requestContext"]["authorizer"]["claims"]["sub"]
    ids = {order_id_for(shopper, key) for key in ("first-order", "second-order")}
    assert {it["detail"]["orderId"] for it in map(SAMPLES.get, BUS_SAMPLES) if "orderId" in it["detail"]} == ids


def test_the_timelines_samples_tell_of_the_order_that_is_confirmed(db):
    # given what the state machine makes of its sample
    event = SAMPLES["timeline/order-confirmed.json"]
    row = row_of(kept(event)[1])
    for item in (row, summed_up([row])["Item"]):
        db.keeps("TimelineTable", item)

    # then its shopper reads it, and finds it in the list
    read, listed = ask("timeline/read-timeline.json"), ask("timeline/list-timelines.json")
    assert [step["detail"] for step in read["events"]] == [event["detail"]]
    assert listed["items"] == [{name: it for name, it in read.items() if name != "events"}]


def test_the_consoles_samples_are_answered_with_its_page_and_its_settings():
    serve = console().handler
    page, settings = (
        serve(SAMPLES[f"timeline/{name}.json"], None) for name in ("open-console", "load-console-settings")
    )
    assert (page["statusCode"], settings["statusCode"]) == (200, 200)
    assert page["body"].startswith("<!doctype html>")
    assert json.loads(settings["body"])["userPoolClientId"] == "client"


def test_the_catalogs_events_are_those_that_its_requests_lead_to(db):
    for request in ("create-product", "replace-product", "remove-product"):
        ask(f"catalog/{request}.json")
    fields = ("productId", "name", "category", "unitPrice", "currency", "revision")
    led_to = {it.detail_type: {name: json.loads(it.detail)[name] for name in fields} for it in db.announcements[1:]}
    for name in ("basket/product-changed.json", "basket/product-removed.json"):
        event = SAMPLES[name]
        assert led_to[event["detail-type"]] == {field: event["detail"][field] for field in fields}


@pytest.mark.parametrize("sample", API_SAMPLES)
def test_a_request_is_signed_in_where_its_route_wants_that_and_nowhere_else(sample):
    (route,) = (trigger.properties for trigger in TRIGGERS if sample in trigger.samples)
    signed_in = "Auth" not in route
    assert ("authorizer" in SAMPLES[sample]["requestContext"]) == signed_in
    assert ("Authorization" in SAMPLES[sample]["headers"]) == signed_in
