"""The example's function by itself: what it vetoes, how often, and what it does when it cannot."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from eventflow.contracts import read_event
from eventflow.events import StepFailed
from ops.patterns import matches

from ..mutations import SENT, changed, everything_wrong
from ..sam_template import attribute
from .bus import failure_record, with_names

SOURCE = Path(__file__).parents[2] / "examples" / "fraud-detection" / "function" / "fraud.py"


@pytest.fixture
def fraud():
    spec = importlib.util.spec_from_file_location("fraud", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Bus:
    def __init__(self, refuses=False):
        self.refuses, self.entries = refuses, []

    def put_events(self, Entries):
        self.entries += Entries
        return {"FailedEntryCount": int(self.refuses), "Entries": [{"ErrorCode": "Throttled"} if self.refuses else {}]}


def order(quantity, **detail):
    detail = {"orderId": "o1", "userId": "ada", "productId": "mug", "quantity": quantity, **detail}
    return {"id": "event-1", "source": "eventflow.orders", "detail-type": "OrderCreated", "detail": detail}


def test_more_pieces_than_ten_are_vetoed_in_either_version_of_an_order(fraud):
    lines = [{"productId": "mug", "quantity": 6}, {"productId": "lamp", "quantity": 5}]
    for event, vetoes in ((order(10), 0), (order(11), 1), (order(1, items=lines), 1), (order(99, items=lines[:1]), 0)):
        fraud.events = Bus()
        fraud.handler(event, None)
        assert len(fraud.events.entries) == vetoes


def test_an_event_that_comes_again_leads_to_the_same_veto_which_orders_understands(fraud):
    fraud.events = Bus()
    event = order(11, metadata={"eventId": "e1", "occurredAt": 1})

    for _ in range(2):
        fraud.handler(event, None)

    vetoes = [
        read_event(
            {
                "id": "x",
                "source": put["Source"],
                "detail-type": put["DetailType"],
                "detail": json.loads(put["Detail"]),
            },
            StepFailed,
        )
        for put in fraud.events.entries
    ]
    assert vetoes[0].event_id == vetoes[1].event_id != "e1"
    assert vetoes[0].causation_id == "e1"
    assert vetoes[0].fact == StepFailed(order_id="o1", reason="11 pieces, 10 at most")


def test_a_veto_that_does_not_go_out_brings_the_event_again(fraud):
    fraud.events = Bus(refuses=True)

    with pytest.raises(RuntimeError, match="Throttled"):
        fraud.handler(order(11), None)


def named(path):
    """As an error names it: `$.detail.items[0].quantity`."""
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


@pytest.mark.parametrize("quantity", [1, 11])
@pytest.mark.parametrize("right", SENT["FraudDetectionFunction"], ids=lambda event: event["detail"]["version"])
def test_what_is_wrong_in_an_order_does_not_matter_or_is_named(fraud, right, quantity):
    # given an order that is vetoed, or not
    line = ("items", 0) if "items" in right["detail"] else ()
    right = changed(right, ("detail", *line, "quantity"), quantity)

    unnamed = []
    for path, value in everything_wrong(right):
        fraud.events = Bus()
        # when it comes with something wrong in it
        try:
            fraud.handler(changed(right, path, value), None)
        except Exception as error:
            # then the reason names the field. (Without `items` it is an order of one product, without a quantity.)
            fields = {named(path), "$.detail.quantity" if path == ("detail", "items") else named(path)}
            if not (isinstance(error, ValueError) and any(field in str(error) for field in fields)):
                unnamed.append(f"{named(path)} {ascii(value)[:40]}: {type(error).__name__} {ascii(str(error))[:200]}")
    assert unnamed == [], "\n".join(unnamed)


@pytest.mark.parametrize(
    ("detail", "reason"),
    [
        ({"quantity": "two"}, "Expected `int`, got `str` - at `$.detail.quantity`"),
        ({"quantity": True}, "Expected `int`, got `bool` - at `$.detail.quantity`"),
        ({"items": None}, "Expected `list`, got `NoneType` - at `$.detail.items`"),
        (
            {"items": [{"quantity": 1}, {"quantity": 3.5}]},
            "Expected `int`, got `float` - at `$.detail.items[1].quantity`",
        ),
        ({"items": ["mug"]}, "missing - at `$.detail.items[0].quantity`"),
        ({"orderId": None}, "Expected `str`, got `NoneType` - at `$.detail.orderId`"),
    ],
)
def test_the_reason_in_the_queue_says_what_is_wrong_and_where(fraud, detail, reason):
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        fraud.handler(order(1) | {"detail": order(1)["detail"] | detail}, None)


@pytest.mark.parametrize("qualifier", ["$LATEST", "7", "live"])
def test_what_it_gives_up_is_told_to_the_bus_and_taken_to_its_queue(qualifier):
    template = yaml_parse((SOURCE.parents[1] / "template.yaml").read_text())
    function = template["Resources"]["FraudDetectionFunction"]["Properties"]
    assert function["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Type"] == "EventBridge"
    rule = template["Resources"]["FraudDetectionFailures"]["Properties"]
    record = failure_record("FraudDetectionFunction", qualifier)
    assert matches(with_names(rule["EventPattern"]), record)
    assert not matches(with_names(rule["EventPattern"]), failure_record("FraudDetectionFunction2", qualifier))
    assert not matches(function["Events"]["Orders"]["Properties"]["Pattern"], record)
    (target,) = rule["Targets"]
    assert (target["Arn"], target["InputPath"]) == (attribute("FraudDetectionFailedEvents"), "$.detail")
    (statement,) = template["Resources"]["FraudDetectionFailedEventsPolicy"]["Properties"]["PolicyDocument"][
        "Statement"
    ]
    assert attribute("FraudDetectionFailures") in statement["Condition"]["ArnEquals"]["aws:SourceArn"]
