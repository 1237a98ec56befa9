"""events/ has a sample for every way into every function, and each sample is what that function really gets."""

import ast
import importlib
import inspect
import json
from dataclasses import dataclass
from typing import Any

import pytest

import inventory.http
import orders.http
from eventflow.contracts import Fact, read_event
from eventflow.events import InventoryReserved, OrderCreated, PaymentSucceeded
from eventflow.outbox import Announcement
from orders.orders import order_id_for
from relay.publish import announced

from .lambda_context import LambdaContext
from .memory_tables import MemoryLevels, MemoryOrders
from .sam_template import FUNCTIONS, ROOT, attribute, resources, service_of, triggers

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

SAMPLES: dict[str, Any] = {
    str(path.relative_to(ROOT / "events")): json.loads(path.read_text())
    for path in sorted((ROOT / "events").rglob("*.json"))
}
BUS_SAMPLES = [name for name, sample in SAMPLES.items() if "detail-type" in sample]
API_SAMPLES = [name for name, sample in SAMPLES.items() if "httpMethod" in sample]
STREAM_SAMPLES = [name for name, sample in SAMPLES.items() if "Records" in sample]

ABSENT = object()


def matches(pattern: dict[str, Any], event: Any) -> bool:
    """EventBridge's event pattern, as far as the template uses it."""
    for name, wanted in pattern.items():
        value = event.get(name, ABSENT) if isinstance(event, dict) else ABSENT
        if isinstance(wanted, dict):
            if not matches(wanted, value):
                return False
        elif not any(_takes(rule, value) for rule in wanted):
            return False
    return True


def _takes(rule: Any, value: Any) -> bool:
    match rule:
        case str():
            return bool(value == rule)
        case {"exists": bool(wanted), **others} if not others:
            return (value is not ABSENT) == wanted
        case {"suffix": str(end), **others} if not others:
            return isinstance(value, str) and value.endswith(end)
    raise NotImplementedError(f"this matcher does not know {rule}")


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
            case "Stream":
                table = self.properties["EventSourceArn"]["Fn::GetAtt"][0]
                filters = [json.loads(it["Pattern"]) for it in self.properties["FilterCriteria"]["Filters"]]
                return "Records" in sample and all(
                    f"-{table}-" in record["eventSourceARN"] and any(matches(pattern, record) for pattern in filters)
                    for record in sample["Records"]
                )
        raise NotImplementedError(self.kind)

    @property
    def samples(self) -> list[str]:
        service = service_of(self.function)
        return [name for name, it in SAMPLES.items() if name.startswith(f"{service}/") and self.fires_on(it)]


TRIGGERS = [
    Trigger(function, name, event["Type"], event["Properties"])
    for function, properties in FUNCTIONS.items()
    for name, event in properties.get("Events", {}).items()
] + [
    Trigger(function, name, "Stream", mapping)
    for name, mapping in resources("AWS::Lambda::EventSourceMapping").items()
    for function in FUNCTIONS
    if mapping["FunctionName"] == attribute(function)
]


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: f"{trigger.function}.{trigger.name}")
def test_every_way_in_has_a_sample(trigger):
    assert trigger.samples
    named = trigger.properties.get("Pattern", {}).get("detail-type", [])
    sampled = {SAMPLES[name]["detail-type"] for name in trigger.samples if name in BUS_SAMPLES}
    assert {it for it in named if isinstance(it, str)} <= sampled


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_sample_is_of_a_way_in(sample):
    assert any(sample in trigger.samples for trigger in TRIGGERS)


def facts_read_by(function: str) -> list[type[Fact]]:
    """What stands in the `@subscriber(...)` of its handler."""
    module = importlib.import_module(FUNCTIONS[function]["Handler"].rpartition(".")[0])
    (decorator,) = (
        decorator
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.FunctionDef) and node.name == "handler"
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
    )
    return [getattr(module, name.id) for name in decorator.args if isinstance(name, ast.Name)]


@pytest.mark.parametrize("sample", BUS_SAMPLES)
def test_an_event_keeps_the_contract_of_the_functions_that_it_goes_to(sample):
    event = SAMPLES[sample]
    readers = {trigger.function for trigger in TRIGGERS if sample in trigger.samples}
    for reader in readers:
        received = read_event(event, *facts_read_by(reader))
        assert received.event_id == event["detail"].get("metadata", event).get("eventId", event["id"])
        assert received.fact.correlation_id == event["detail"]["orderId"]


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if triggers(name, "EventBridgeRule")])
def test_each_event_that_a_function_reads_is_let_through_by_its_rules(function):
    sampled = {name for trigger in TRIGGERS if trigger.function == function for name in trigger.samples}
    facts = facts_read_by(function)
    read = {type(read_event(SAMPLES[name], *facts).fact) for name in sampled}
    assert read == set(facts)


def test_foreign_events_without_metadata_have_samples_too():
    foreign = {name for name in BUS_SAMPLES if "metadata" not in SAMPLES[name]["detail"]}
    assert {"payment/order-created-without-metadata.json", "orders/fraud-check-failed.json"} <= foreign


def test_the_streams_announce_what_their_services_publish():
    told = [
        (name, read_event(published(it), OrderCreated, PaymentSucceeded, InventoryReserved).detail_type)
        for name in STREAM_SAMPLES
        for it in announced(SAMPLES[name]["Records"])
    ]
    assert told == [
        ("relay/orders-stream.json", "OrderCreated"),
        ("relay/payments-stream.json", "PaymentSucceeded"),
        ("relay/reservations-stream.json", "InventoryReserved"),
    ]
    assert len(SAMPLES["relay/orders-stream.json"]["Records"]) == 2, "an insert, and an update that announces nothing"


def published(announcement: Announcement) -> dict[str, Any]:
    return {
        "id": "delivery",
        "source": announcement.source,
        "detail-type": announcement.detail_type,
        "detail": json.loads(announcement.detail),
    }


def test_the_requests_tell_the_story_of_one_order_and_its_stock(monkeypatch):
    monkeypatch.setattr(orders.http, "ORDERS", MemoryOrders())
    monkeypatch.setattr(inventory.http, "LEVELS", MemoryLevels())

    def ask(sample: str) -> Any:
        service = orders if sample.startswith("orders/") else inventory
        answer = service.http.handler(SAMPLES[sample], LambdaContext())
        assert answer["statusCode"] in (200, 201), f"{sample}: {answer['body']}"
        return json.loads(answer["body"])

    story = [
        *("orders/place-order.json", "orders/place-order-of-several-products.json", "orders/list-orders.json"),
        *("orders/read-order.json", "orders/cancel-order.json"),
        *("inventory/set-stock.json", "inventory/read-stock.json"),
    ]
    assert sorted(story) == API_SAMPLES
    placed, _, listed, read, cancelled, _, _ = map(ask, story)
    assert placed == read
    assert placed in listed["items"]
    assert cancelled == {**placed, "status": "CANCELLED", "reason": "cancelled by the shopper"}

    shopper = SAMPLES["orders/place-order.json"]["requestContext"]["authorizer"]["claims"]["sub"]
    ids = {order_id_for(shopper, key) for key in ("first-order", "second-order")}
    assert {SAMPLES[name]["detail"]["orderId"] for name in BUS_SAMPLES} == ids
