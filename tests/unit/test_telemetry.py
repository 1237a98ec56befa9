"""What an invocation writes: its own log lines, metrics and trace, and nothing from the invocation before."""

import io
import json
import os
from datetime import datetime
from typing import Any

import boto3
import pytest
from aws_xray_sdk import global_sdk_config
from aws_xray_sdk.core import xray_recorder
from aws_xray_sdk.core.lambda_launcher import LambdaContext as InLambda
from botocore.exceptions import EndpointConnectionError
from botocore.validate import validate_parameters

from eventflow import telemetry
from eventflow.trace import current_trace

from .lambda_context import LambdaContext

ROOT, OTHER_ROOT = "1-5759e988-bd862e3fe1be46a994272793", "1-5759e999-111111111111111111111111"
INVOCATION = f"Root={OTHER_ROOT};Parent=aaaaaaaaaaaaaaaa;Sampled=1"
OF_AN_ORDER = f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1"
PUT_TRACE_SEGMENTS = (
    boto3.client("xray", region_name="eu-west-1").meta.service_model.operation_model("PutTraceSegments").input_shape
)


def test_what_is_logged_has_the_order_that_it_is_about_and_no_earlier_one(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", log)

    # given a warm sandbox, which sees an order and then an event that is about none
    @telemetry.instrumented
    def handler(event, context):
        if event:
            telemetry.follow(event, detailType="OrderCreated")
        telemetry.logger.info("seen")

    # when
    handler("order-1", LambdaContext())
    handler(None, LambdaContext())

    # then
    first, second = (json.loads(line) for line in log.getvalue().splitlines())
    assert (first["orderId"], first["detailType"]) == ("order-1", "OrderCreated")
    assert not {"orderId", "detailType"} & second.keys()


def test_a_line_holds_what_how_it_works_says_and_nothing_twice(monkeypatch):
    # given
    log = io.StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", log)

    @telemetry.instrumented
    def handler(event, context):
        telemetry.follow("order-1", detailType="OrderCreated", eventId="e-1", causationId="e-0")
        telemetry.logger.info("received")

    # when a warm sandbox sees a second event
    handler({}, LambdaContext())
    handler({}, LambdaContext())

    # then
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert "cold_start" not in lines[1], "where it is not, there is nothing to say"
    for line in lines:
        about = {"orderId", "detailType", "eventId", "causationId"}
        assert line.keys() - {"xray_trace_id", "cold_start"} == about | {
            *("level", "message", "timestamp", "service", "function_request_id"),
        }
        # RFC 3339, or Lambda takes the line for INFO, whatever its level
        assert datetime.fromisoformat(line["timestamp"]).tzinfo
        assert "T" in line["timestamp"]


@pytest.mark.parametrize(("sampled", "named"), [("1", ROOT), ("0", None)])
def test_a_line_names_its_trace_where_x_ray_keeps_it(monkeypatch, sampled, named):
    log = io.StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", log)

    @telemetry.instrumented
    def handler(event, context):
        telemetry.logger.info("received")

    # given a warm sandbox, whose last invocation was otherwise
    monkeypatch.setenv("_X_AMZN_TRACE_ID", OF_AN_ORDER.replace("Sampled=1", f"Sampled={1 - int(sampled)}"))
    handler({}, LambdaContext())
    monkeypatch.setenv("_X_AMZN_TRACE_ID", OF_AN_ORDER.replace("Sampled=1", f"Sampled={sampled}"))
    handler({}, LambdaContext())

    assert json.loads(log.getvalue().splitlines()[1]).get("xray_trace_id") == named


def test_what_came_of_an_event_does_not_say_again_which_event_it_was(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", log)

    @telemetry.instrumented
    def handler(event, context):
        telemetry.follow("order-1", detailType="OrderCreated", eventId="e-1", causationId="e-0")
        telemetry.conclude("told the shopper", subject="We have your order")

    handler({}, LambdaContext())

    line = json.loads(log.getvalue())
    assert (line["orderId"], line["subject"]) == ("order-1", "We have your order")
    assert not {"detailType", "eventId", "causationId"} & line.keys()
    assert line["function_request_id"], "by which it is found beside the line that says it"


def test_what_is_counted_is_a_metric_of_the_stack_at_the_invocations_end(capsys):
    @telemetry.instrumented
    def handler(event, context):
        telemetry.count("OrderConfirmed")
        telemetry.count("OrderConfirmed")

    handler({}, LambdaContext())

    metric = json.loads(capsys.readouterr().out)
    (definition,) = metric["_aws"]["CloudWatchMetrics"]
    assert definition["Namespace"] == os.environ["POWERTOOLS_METRICS_NAMESPACE"]
    assert metric["OrderConfirmed"] == [1.0, 1.0]


def test_a_warm_sandbox_forgets_the_last_invocations_trace_before_it_begins_the_next(monkeypatch):
    # given
    noted = []
    handler = telemetry.instrumented(lambda event, context: noted.append("handled"))
    monkeypatch.setattr(telemetry.tracer, "disabled", False)
    monkeypatch.setattr(xray_recorder, "clear_trace_entities", lambda: noted.append("forgot"))

    # when
    handler({}, LambdaContext())

    # then
    assert noted == ["forgot", "handled"]


def test_a_trace_holds_no_answers(monkeypatch):
    captured = {}

    def capture(**options):
        captured.update(options)
        return lambda handler: handler

    monkeypatch.setattr(telemetry.tracer, "capture_lambda_handler", capture)
    telemetry.instrumented(lambda event, context: None)

    assert captured == {"capture_response": False}


# In traces that are not the invocation's


class XRay:
    """Its API. What it refuses is lost."""

    def __init__(self) -> None:
        self.calls: list[list[dict[str, Any]]] = []
        self.away = False

    def put_trace_segments(self, TraceSegmentDocuments: list[str]) -> None:
        validate_parameters({"TraceSegmentDocuments": TraceSegmentDocuments}, PUT_TRACE_SEGMENTS)
        if self.away:
            raise EndpointConnectionError(endpoint_url="xray")
        self.calls.append([json.loads(document) for document in TraceSegmentDocuments])


@pytest.fixture
def xray(monkeypatch):
    xray = XRay()
    monkeypatch.setattr(telemetry, "_xray", lambda: xray)
    return xray


@pytest.fixture
def sent(monkeypatch):
    """The segments that a function which is traced sends to X-Ray's daemon, or is to send by the API."""
    documents: list[dict[str, Any]] = []

    class Ended(list[str]):
        def append(self, document: str) -> None:
            super().append(document)
            documents.append(json.loads(document))

    monkeypatch.setattr(telemetry, "_ended", Ended())
    monkeypatch.setenv("_X_AMZN_TRACE_ID", INVOCATION)
    monkeypatch.setattr(telemetry.tracer, "disabled", False)
    monkeypatch.setattr(telemetry.tracer, "provider", xray_recorder)
    monkeypatch.setattr(telemetry.tracer, "service", "relay")
    monkeypatch.setattr(xray_recorder, "_context", InLambda())
    monkeypatch.setattr(
        xray_recorder.emitter, "send_entity", lambda entity: documents.append(json.loads(entity.serialize()))
    )
    global_sdk_config.set_sdk_enabled(True)
    yield documents
    global_sdk_config.set_sdk_enabled(False)


def test_what_is_handed_on_continues_under_a_segment_of_the_service_in_its_own_trace(sent):
    with telemetry.handing_on(OF_AN_ORDER, DetailType="OrderCreated") as header:
        assert sent == []

    (segment,) = sent
    assert (segment["trace_id"], segment["parent_id"], segment["name"]) == (ROOT, "53995c3f42cd8ad8", "relay")
    assert header == f"Root={ROOT};Parent={segment['id']};Sampled=1"
    assert segment["annotations"] == {"DetailType": "OrderCreated"}
    assert segment["end_time"] >= segment["start_time"]
    assert current_trace() == INVOCATION


def test_segments_in_other_traces_are_sent_by_x_rays_api_when_the_invocation_ends(sent, xray):
    @telemetry.instrumented
    def handler(event, context):
        for _ in range(51):
            with telemetry.handing_on(OF_AN_ORDER):
                pass
        so_far.append(len(xray.calls))

    so_far: list[int] = []
    handler({}, LambdaContext())
    handler({}, LambdaContext())

    assert so_far == [0, 2]
    assert [len(documents) for documents in xray.calls] == [50, 1, 50, 1]
    assert {document["trace_id"] for documents in xray.calls for document in documents} == {ROOT}


def test_segments_that_x_ray_does_not_take_are_forgotten_and_what_was_done_is_done(sent, xray):
    @telemetry.instrumented
    def handler(event, context):
        with telemetry.handing_on(OF_AN_ORDER):
            return "published"

    xray.away = True
    assert handler({}, LambdaContext()) == "published"
    xray.away = False
    handler({}, LambdaContext())
    assert [len(documents) for documents in xray.calls] == [1]


def test_an_invocation_that_fails_sends_its_segments_too(sent, xray):
    @telemetry.instrumented
    def handler(event, context):
        with telemetry.handing_on(OF_AN_ORDER):
            raise TimeoutError("the bus is away")

    with pytest.raises(TimeoutError):
        handler({}, LambdaContext())
    ((segment,),) = xray.calls
    assert segment["fault"]


@pytest.mark.parametrize("header", [None, "", OF_AN_ORDER.replace("Sampled=1", "Sampled=0"), "Sampled=1"])
def test_what_is_not_sampled_is_handed_on_as_it_came(sent, header):
    with telemetry.handing_on(header, DetailType="OrderCreated") as onward:
        assert onward == header
    assert sent == []


def test_a_message_is_handled_in_its_own_trace_with_all_that_is_recorded_of_it(sent):
    # given an invocation that records its handler
    handler = xray_recorder.begin_subsegment("## handler")

    # when
    with telemetry.taking_part_in(OF_AN_ORDER):
        telemetry.follow("o1", detailType="BasketCheckedOut")
        with xray_recorder.in_subsegment("dynamodb"):
            announced = current_trace()
    telemetry.tracer.put_annotation("Batch", "of one")
    xray_recorder.end_subsegment()

    # then the message's segment is in the message's trace
    segment = sent[0]
    assert (segment["trace_id"], segment["parent_id"]) == (ROOT, "53995c3f42cd8ad8")
    assert segment["annotations"] == {"OrderId": "o1", "DetailType": "BasketCheckedOut"}
    assert [part["name"] for part in segment["subsegments"]] == ["dynamodb"]
    assert announced == f"Root={ROOT};Parent={segment['id']};Sampled=1"

    # and the invocation goes on in its own
    assert current_trace() == INVOCATION
    assert handler.annotations == {"Batch": "of one"}
    assert handler.trace_id == OTHER_ROOT


def test_a_message_that_is_not_handled_is_a_fault_in_its_trace_and_the_next_is_in_its_own(sent):
    with pytest.raises(ValueError, match="unreadable"), telemetry.taking_part_in(OF_AN_ORDER):
        raise ValueError("unreadable")
    with telemetry.taking_part_in(OF_AN_ORDER.replace(ROOT, OTHER_ROOT)):
        pass

    failed, handled = sent
    assert failed["fault"]
    assert failed["cause"]["exceptions"][0]["message"] == "unreadable"
    assert ("fault" in handled, handled["trace_id"]) == (False, OTHER_ROOT)


def test_a_message_that_is_not_sampled_is_handled_in_its_trace_and_sends_nothing(sent):
    header = OF_AN_ORDER.replace("Sampled=1", "Sampled=0")
    with telemetry.taking_part_in(header):
        telemetry.follow("o1")
        assert current_trace() == header
    assert sent == []


@pytest.mark.parametrize("own", [INVOCATION, None])
def test_where_nothing_is_traced_messages_still_go_on_with_their_own_header(monkeypatch, own):
    monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)
    if own:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", own)
    with telemetry.taking_part_in(OF_AN_ORDER):
        assert current_trace() == OF_AN_ORDER
    with telemetry.taking_part_in(None):
        assert current_trace() == own
    assert os.environ.get("_X_AMZN_TRACE_ID") == own


@pytest.mark.parametrize(
    ("written_in", "noted"),
    [(OF_AN_ORDER, {"GoesOnFrom": ROOT}), (INVOCATION.replace("a" * 16, "b" * 16), {}), (None, {}), ("", {})],
)
def test_a_trace_notes_which_other_one_last_wrote_what_it_works_on(sent, written_in, noted):
    handler = xray_recorder.begin_subsegment("## handler")
    telemetry.goes_on_from(written_in)
    assert handler.annotations == noted
    xray_recorder.end_subsegment()
