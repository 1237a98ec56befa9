"""`make trace`: which trace is an order's, and how it is drawn."""

import io
import json

import boto3
import pytest
from botocore.stub import Stubber
from rich.console import Console

from ops import OpsError
from ops.stack import Stack
from ops.trace import Trace, documents, trace_header, traces_of

TRACE = "1-5759e988-bd862e3fe1be46a994272793"
EARLIER = "1-5759e900-111111111111111111111111"
HEADER = f"Root={TRACE};Parent=53995c3f42cd8ad8;Sampled=1"


def segment(id_, start, end, parent=None, **fields):
    """A document, from `start` to `end` in milliseconds."""
    about = {"id": id_, "name": id_, "trace_id": TRACE, "start_time": 1e9 + start / 1000, "end_time": 1e9 + end / 1000}
    return json.dumps(about | ({"parent_id": parent} if parent else {}) | fields)


def drawn(*segments):
    return [line.plain.rstrip() for line in Trace.of(TRACE, segments).drawn()]


def tree(*segments):
    return [(depth, segment.name) for depth, segment, _ in Trace.of(TRACE, segments).tree()]


# Drawing


def test_each_segment_is_a_line_under_its_cause_on_one_axis_of_time():
    handler = {
        "id": "h",
        "name": "## handler",
        "annotations": {"Service": "orders", "OrderId": "o1", "ColdStart": True},
    }
    charge = {"id": "c", "name": "## handler", "annotations": {"OrderId": "o1", "DetailType": "OrderCreated"}}
    request = {
        "request": {"method": "POST", "url": "https://x.example/v1/orders?secret=1"},
        "response": {"status": 201},
    }

    lines = drawn(
        segment("payment", 120, 200, "relay", subsegments=[charge]),
        segment("relay", 100, 110, "orders-function", annotations={"DetailType": "OrderCreated"}),
        segment("orders-function", 10, 90, "gateway", subsegments=[handler]),
        segment("inventory", 130, 130, "relay"),
        segment("gateway", 0, 100, http=request),
    )

    assert lines == [
        f"{TRACE}  2001-09-09 01:46:40 UTC  200 ms",
        "  start     ms",
        "     +0    100  ████████████              gateway  POST /v1/orders 201",
        "    +10     80   ██████████               └─ orders  OrderId=o1  cold start  orders-function",
        "   +100     10              █                └─ relay  DetailType=OrderCreated",
        "   +120     80                ██████████        └─ payment",
        "   +130      0                 █                └─ inventory",
    ]


def test_what_went_wrong_stands_at_the_end_with_its_reason():
    cause = {"exceptions": [{"message": "no such table", "type": "ResourceNotFoundException"}]}
    failed = {"id": "h", "name": "## handler", "fault": True, "cause": cause}
    referred = {"id": "h", "name": "## handler", "fault": True, "cause": "a1b2c3d4e5f60718"}

    lines = drawn(
        segment("payment", 0, 10, fault=True, subsegments=[failed]),
        segment("inventory", 10, 20, fault=True, subsegments=[referred]),
        segment("gateway", 20, 30, error=True, throttle=True),
        segment("orders", 30, 40, subsegments=[failed]),  # it has coped with what failed
    )

    ends = [line.rpartition("█")[2].split("  ")[-1] for line in lines[2:]]
    assert ends == ["fault: no such table", "fault", "error", "orders"]


def test_what_callers_send_steers_no_terminal_and_is_no_markup():
    evil = segment("[bold]\x1b[2Jpay\u202ement\x07\n", 0, 10, annotations={"Note\x9b": "[/] \x1b]0;x\x07"})
    terminal = io.StringIO()
    for line in Trace.of(f"{TRACE}\x1b[2J", [evil]).drawn():
        Console(file=terminal, force_terminal=False).print(line, soft_wrap=True)

    said = terminal.getvalue()
    assert not set(said) & set("\x1b\x07\x9b\u202e")
    assert said.count("\n") == 3
    assert "[bold]" in said
    assert "[/]" in said


def test_a_segment_stands_under_the_one_whose_subsegment_led_to_it():
    call = {"id": "call", "name": "Lambda", "subsegments": []}
    assert tree(segment("gateway", 0, 9, subsegments=[call]), segment("orders", 1, 8, "call")) == [
        (0, "gateway"),
        (1, "orders"),
    ]


def test_of_lambdas_two_segments_of_an_invocation_the_functions_own_is_told_if_it_is_there():
    assert tree(
        segment("gateway", 0, 9),
        segment("lambda-of-orders", 1, 9, "gateway", origin="AWS::Lambda"),
        segment("orders", 2, 8, "lambda-of-orders", origin="AWS::Lambda::Function"),
        segment("throttled", 3, 9, "orders", origin="AWS::Lambda", throttle=True),
    ) == [(0, "gateway"), (1, "orders"), (2, "throttled")]


def test_segments_whose_cause_is_not_there_are_roots_and_those_of_a_circle_are_told_once():
    assert tree(
        segment("orders", 0, 9, "not-sent-yet"),
        segment("b", 5, 6, "a"),
        segment("a", 4, 7, "b"),
        segment("self", 8, 9, "self"),
    ) == [(0, "orders"), (0, "a"), (1, "b"), (0, "self")]


def test_what_x_ray_infers_is_left_out_and_what_goes_on_is_as_long_as_is_known():
    going_on = json.loads(segment("orders", 0, 0))
    del going_on["end_time"]
    lines = drawn(json.dumps(going_on), segment("table", 1, 9, "orders", inferred=True))
    assert lines[2:] == ["     +0      0  █                         orders"]


def test_a_trace_that_x_ray_does_not_have_is_not_there_yet_or_no_more():
    with pytest.raises(OpsError, match=f"X-Ray does not have trace {TRACE}: it takes some seconds to come"):
        Trace.of(TRACE, [])


# Which trace


def order_row(**event):
    return {"Item": {"orderId": {"S": "o1"}, **({"event": {"M": event}} if event else {})}}


STACK = Stack("eventflow", resources={"AWS::DynamoDB::Table": {"OrdersTable": "eventflow-OrdersTable-1A"}})


def header_of(row):
    dynamodb = boto3.client("dynamodb")
    with Stubber(dynamodb) as tables:
        tables.add_response("get_item", row, {"TableName": "eventflow-OrdersTable-1A", "Key": {"orderId": {"S": "o1"}}})
        return trace_header("o1", STACK, dynamodb)


def test_an_orders_row_says_in_which_trace_it_was_written():
    assert header_of(order_row(trace={"S": HEADER})) == HEADER


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({}, "stack eventflow has no order o1"),
        (order_row(), "order o1 was written outside of any trace"),
        (order_row(id={"S": "e1"}), "order o1 was written outside of any trace"),
        (order_row(trace={"S": HEADER.replace("Sampled=1", "Sampled=0")}), "order o1 was not sampled: X-Ray keeps"),
    ],
)
def test_an_order_that_has_no_trace_is_told_why(row, error):
    with pytest.raises(OpsError, match=f"^{error}"):
        header_of(row)


def test_a_traces_documents_are_read_page_by_page():
    xray = boto3.client("xray")
    with Stubber(xray) as stub:
        page = {"Traces": [{"Id": TRACE, "Segments": [{"Id": "a", "Document": "{}"}]}]}
        stub.add_response("batch_get_traces", {**page, "NextToken": "more"}, {"TraceIds": [TRACE]})
        stub.add_response("batch_get_traces", page, {"TraceIds": [TRACE], "NextToken": "more"})
        assert documents(TRACE, xray, "https://cloudformation.us-east-1.amazonaws.com") == ["{}", "{}"]


def test_an_emulator_without_x_ray_is_not_asked():
    emulator = "http://127.0.0.1:4566"
    with pytest.raises(OpsError, match="X-Ray does not run here: `make up` starts it"):
        documents(TRACE, boto3.client("xray", endpoint_url=emulator), emulator)


def test_an_order_that_goes_on_in_another_requests_trace_has_both_oldest_first():
    def goes_on(order, root):
        return {"OrderId": order, "GoesOnFrom": root}

    kept = {
        TRACE: [
            segment("cancel", 100, 110, annotations=goes_on("o1", EARLIER)),
            segment("payment", 110, 120, "cancel", annotations=goes_on("o1", EARLIER)),
            segment("stock", 110, 120, "cancel", annotations=goes_on("o2", "1-another-orders")),
        ],
        EARLIER: [segment("place", 0, 10, annotations=goes_on("o1", "1-no-longer-there"))],
        "1-no-longer-there": [],
    }
    asked = []

    def read(trace_id):
        asked.append(trace_id)
        return kept[trace_id]

    assert [trace.trace_id for trace in traces_of("o1", HEADER, read)] == [EARLIER, TRACE]
    assert asked == [TRACE, EARLIER, "1-no-longer-there"]


def test_an_order_whose_own_trace_is_not_there_has_none():
    with pytest.raises(OpsError, match="X-Ray does not have trace"):
        traces_of("o1", HEADER, lambda _: [])
