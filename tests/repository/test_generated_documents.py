"""docs/api/ and docs/events/ say what the code and the templates say, and nothing is left out."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from eventflow.api import Answer, Api
from eventflow.contracts import Fact
from eventflow.events import Line
from ops import OpsError, documents, openapi
from ops.bus import Event, on_the_bus, sample
from ops.reading import read
from ops.schemas import components_of, schemas_of
from ops.templates import Route
from orders.orders import REASON_LENGTH
from timeline import flow, sagas

from ..sam_template import ALL_FUNCTIONS, ROOT, STATE_MACHINES, TEMPLATE, triggers

OPENAPI = json.loads((ROOT / "docs" / "api" / "openapi.json").read_text())
ASYNCAPI = json.loads((ROOT / "docs" / "api" / "asyncapi.json").read_text())


def test_the_documents_are_what_make_schemas_writes():
    made = documents.generated()
    assert documents.strays(made) == []
    drifted = [path for path, text in made.items() if (ROOT / path).read_text() != text]
    assert drifted == [], "run `make schemas`"


# The APIs

OPERATIONS = {
    (method.upper(), path): operation
    for path, item in OPENAPI["paths"].items()
    for method, operation in item.items()
    if method != "servers"
}


def test_the_document_is_sound():
    OpenAPIV31SpecValidator(OPENAPI).validate()


def test_every_route_of_the_templates_is_described_and_no_other():
    routes = {
        (route["Method"], route["Path"])
        for function in ALL_FUNCTIONS
        if function != "ConsoleFunction"  # the console's pages are for people
        for route in triggers(function, "Api").values()
    }
    assert OPERATIONS.keys() == routes


def test_every_sample_of_a_request_is_as_described():
    for (method, path), operation in OPERATIONS.items():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert content["examples"], (method, path)
            for example in content["examples"].values():
                schema = {**content["schema"], "components": OPENAPI["components"]}
                Draft202012Validator(schema).validate(example["value"])


@pytest.mark.parametrize(
    ("route", "statuses"),
    [
        (("GET", "/products"), {200, 400, 429, 500}),
        (("PUT", "/products/{productId}"), {200, 400, 401, 403, 404, 409, 412, 428, 429, 500}),
        (("GET", "/basket"), {200, 401, 429, 500}),
        # 404 is the router's, of a path that no id has
        (("DELETE", "/basket/items/{productId}"), {200, 400, 401, 404, 409, 429, 500}),
        (("POST", "/basket/checkout"), {202, 400, 401, 409, 422, 429, 500}),
        (("POST", "/orders"), {201, 400, 401, 403, 409, 422, 429, 500}),
        (("POST", "/inventory/{productId}/adjustments"), {200, 400, 401, 403, 404, 409, 422, 428, 429, 500}),
    ],
)
def test_what_a_route_answers_is_read_from_its_code(route, statuses):
    assert {int(status) for status in OPERATIONS[route]["responses"]} == statuses


def test_what_is_sent_once_or_under_a_condition_says_so():
    def headers(method: str, path: str) -> dict[str, bool]:
        return {it["name"]: it["required"] for it in OPERATIONS[method, path]["parameters"] if it["in"] == "header"}

    assert headers("POST", "/orders") == headers("POST", "/basket/checkout") == {"Idempotency-Key": False}
    assert headers("POST", "/inventory/{productId}/adjustments") == {"Idempotency-Key": True}
    assert headers("PUT", "/products/{productId}") == {"If-Match": True}
    assert headers("DELETE", "/products/{productId}") == {"If-Match": False}
    assert "ETag" in OPERATIONS["GET", "/products/{productId}"]["responses"]["200"]["headers"]
    assert {"ETag", "Location"} == OPERATIONS["POST", "/products"]["responses"]["201"]["headers"].keys()


def test_only_what_is_open_to_anyone_takes_a_request_without_a_token():
    is_open = {route for route, operation in OPERATIONS.items() if operation.get("security") == []}
    assert is_open == {("GET", "/products"), ("GET", "/products/{productId}")}
    assert OPENAPI["security"] == [{"users": []}]
    assert all(("401" in it["responses"]) != (route in is_open) for route, it in OPERATIONS.items())


@pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI], ids=["openapi", "asyncapi"])
def test_every_field_says_what_it_means_in_one_line(document):
    said = {
        f"{name}.{field}": it.get("description", "")
        for name, component in document["components"]["schemas"].items()
        for field, it in component.get("properties", {}).items()
    }
    assert [field for field, text in said.items() if not text or "\n" in text] == []
    # an older Python keeps a docstring's indentation: what is generated may not differ by who generates it
    assert re.findall(r'"description": "[^"]*\\n {2}', json.dumps(document)) == []


@pytest.mark.parametrize(
    ("described", "most"),
    [
        ("Window.nodes", flow.MOST_NODES),
        ("Window.edges", flow.MOST_EDGES),
        ("Window.variants", flow.MOST_VARIANTS),
        ("Window.unusual", flow.MOST_UNUSUAL),
        ("Window.oldestOpen", flow.MOST_OPEN),
        ("Variant.examples", flow.MOST_EXAMPLES),
        ("Timeline.truncated", sagas.MOST_EVENTS),
    ],
)
def test_the_limits_that_are_described_are_those_of_the_code(described, most):
    component, field = described.split(".")
    said = OPENAPI["components"]["schemas"][component]["properties"][field]["description"]
    assert f"{most} at most" in said


def test_a_vetos_page_says_how_much_of_its_reason_is_kept():
    assert f"first {REASON_LENGTH} characters" in page("StepFailed")


def test_what_was_wrong_with_a_request_is_shown_as_the_code_says_it():
    (example,) = OPERATIONS["POST", "/orders"]["responses"]["400"]["content"]["application/problem+json"][
        "examples"
    ].values()
    detail = "Object missing required field `productId`"
    assert example["value"]["errors"] == [{"field": "productId", "detail": detail}]


def test_a_field_or_an_event_that_does_not_say_what_it_means_is_refused():
    class Mute(Fact, frozen=True, kw_only=True):
        SOURCE = "eventflow.mute"
        silent: int

    Mute.__doc__ = None
    with pytest.raises(OpsError, match=r"Mute: say in a docstring what `silent` means"):
        schemas_of(Mute)
    with pytest.raises(OpsError, match=r"Mute: say in a docstring of the event what it means"):
        _ = Event(Mute, (), ()).meaning


def test_two_structs_of_one_name_are_refused_because_each_would_get_the_others_meanings():
    twin = msgspec.defstruct("Line", [("quantity", int)])
    with pytest.raises(OpsError, match=r"Line: there is another of this name"):
        components_of([Line, twin], "{name}")


def described(handler: Any, method: str = "GET", path: str = "/orders") -> dict[str, Any]:
    """A route of the template, as if this function answered it."""
    (route,) = (it for it in openapi.routes(ROOT / "template.yaml") if (it.method, it.path) == (method, path))
    operation = openapi.Operation(route)
    operation.handler, operation.code = handler, read(handler)
    return operation.as_json({repr(str): {}, repr(int): {}}, [operation])


def undocumented() -> Answer[int]:
    return Api.answer(1)


def untyped() -> Any:
    """Answer something."""
    return Api.answer(1)


@pytest.mark.parametrize(
    ("handler", "what_to_do"), [(undocumented, "say in a docstring"), (untyped, "annotate what it returns")]
)
def test_a_route_that_is_not_described_is_refused_with_what_to_do(handler, what_to_do):
    with pytest.raises(OpsError, match=what_to_do):
        described(handler)


def test_a_route_without_code_or_sample_is_refused():
    route = next(iter(openapi.routes(ROOT / "template.yaml")))
    with pytest.raises(OpsError, match=r"GET /nowhere: .* does not answer it"):
        openapi.handler_of(Route("GET", "/nowhere", False, route.function))
    with pytest.raises(OpsError, match="put a sample of it into events/"):
        openapi._samples(Route("GET", "/nowhere", False, route.function))


# The events

EVENTS = ROOT / "docs" / "events"


def page(event: str) -> str:
    return (EVENTS / f"{event}.md").read_text()


def test_every_event_has_a_page_a_channel_and_a_place_on_the_map():
    names = {event.name for event in on_the_bus()}
    assert names == {path.stem for path in EVENTS.glob("*.md")} - {"README"} == ASYNCAPI["channels"].keys()
    index = (EVENTS / "README.md").read_text()
    for name in names:
        assert f"]({name}.md)" in index
        assert f'{name}{{{{"{name}"}}}}' in index


def test_every_listener_of_the_templates_is_named():
    """Whatever has a rule or a queue that brings it what services announce; the timeline by its state machine."""
    fed = {
        it["Properties"]["FunctionName"]["Ref"].removesuffix(".Alias")
        for it in TEMPLATE["Resources"].values()
        if it["Type"] == "AWS::Lambda::EventSourceMapping"
        and it["Properties"]["EventSourceArn"]["Fn::GetAtt"][1] != "StreamArn"
    }
    listening = {name for name in ALL_FUNCTIONS if triggers(name, "EventBridgeRule")} | fed
    listening |= {
        name
        for name, it in STATE_MACHINES.items()
        if any(event["Type"] == "EventBridgeRule" for event in it.get("Events", {}).values())
    }
    told = {listener.rule.listener for event in on_the_bus() for listener in event.listeners}
    assert listening <= told
    pages = "".join(path.read_text() for path in EVENTS.glob("*.md"))
    assert all(f"`{name}`" in pages for name in listening)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ("OrderCreated", ["orders, after POST /orders", "orders, after [BasketCheckedOut](BasketCheckedOut.md)"]),
        ("OrderCreated", ["payment, by `PaymentFunction`", "fraud-detection, by `FraudDetectionFunction`, of another"]),
        ("PaymentFailed", ["What may follow: [OrderCancelled](OrderCancelled.md).", "Version 1.0", "Version 2.0"]),
        ("InventoryReserved", ["What may follow: [OrderConfirmed](OrderConfirmed.md)."]),
        ("BasketCheckedOut", ["through the queue `Checkouts`", "`shipping.email`", "`items[].quantity`"]),
        ("EventRedriven", ["operations, by a command of operators (ops/redriven.py)", "No service acts on it."]),
        (
            "StepFailed",
            [
                "such as `FraudCheckFailed`",
                "any service, by a decision",
                "orders, by `OrdersSagaFunction`",
                "- version: any",
            ],
        ),
        ("microservice_x_test_event", ["What may follow: [PartnerOrderReceived](PartnerOrderReceived.md)."]),
    ],
)
def test_a_page_says_where_an_event_comes_from_and_what_follows(event, told):
    for text in told:
        assert text in page(event)


def test_links_between_pages_lead_somewhere():
    for path in [*EVENTS.glob("*.md"), ROOT / "docs" / "api" / "README.md"]:
        for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            assert link.startswith("https://") or (path.parent / Path(link)).exists(), f"{path.name}: {link}"


def test_the_buss_messages_keep_their_schemas_and_its_references_lead_somewhere():
    for event in on_the_bus():
        for version in event.schemas:
            messages = ASYNCAPI["channels"][event.name]["messages"]
            message = messages.get(f"{event.name}-{version}") or messages[event.name]
            schema = {**message["payload"], "components": ASYNCAPI["components"]}
            Draft202012Validator(schema).validate(message["examples"][0]["payload"])
            assert message["examples"][0]["payload"] == sample(event.fact, version)["detail"]
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(ASYNCAPI)):
        node = ASYNCAPI
        for step in reference.split("/"):
            node = node[step]
