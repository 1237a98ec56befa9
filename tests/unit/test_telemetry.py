"""What an invocation leaves behind: its own log lines, metrics and trace, and nothing of the last one's."""

import io
import json
import os
from datetime import datetime

import pytest
from aws_xray_sdk import global_sdk_config
from aws_xray_sdk.core import xray_recorder
from aws_xray_sdk.core.lambda_launcher import LambdaContext as InLambda
from aws_xray_sdk.core.models.trace_header import TraceHeader

from eventflow import telemetry
from eventflow.trace import current_trace

from .lambda_context import LambdaContext

ROOT, OTHER_ROOT = "1-5759e988-bd862e3fe1be46a994272793", "1-5759e999-111111111111111111111111"
INVOCATION = f"Root={OTHER_ROOT};Parent=aaaaaaaaaaaaaaaa;Sampled=1"
OF_AN_ORDER = f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1"


def test_what_is_logged_bears_the_order_that_it_is_about_and_no_earlier_one(monkeypatch):
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
    for line in map(json.loads, log.getvalue().splitlines()):
        about = {"orderId", "detailType", "eventId", "causationId"}
        assert line.keys() - {"xray_trace_id"} == about | {
            *("level", "message", "timestamp", "service", "cold_start", "function_request_id"),
        }
        # RFC 3339, or Lambda takes the line for INFO, whatever its level
        assert datetime.fromisoformat(line["timestamp"]).tzinfo
        assert "T" in line["timestamp"]


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


@pytest.fixture
def sent(monkeypatch):
    """What is sent to X-Ray by a function that is traced."""
    documents = []
    monkeypatch.setenv("_X_AMZN_TRACE_ID", INVOCATION)
    monkeypatch.setattr(telemetry.tracer, "disabled", False)
    monkeypatch.setattr(telemetry.tracer, "provider", xray_recorder)
    monkeypatch.setattr(telemetry.tracer, "service", "relay")
    monkeypatch.setattr(xray_recorder, "_context", InLambda())
    monkeypatch.setattr(
        xray_recorder.emitter, "send_entity", lambda entity: documents.append(json.loads(entity.serialize()))
    )
    global_sdk_config.set_sdk_enabled(True)
    telemetry._read_the_trace_once()
    yield documents
    global_sdk_config.set_sdk_enabled(False)


def test_the_header_is_read_again_when_it_is_another_and_not_before(sent, monkeypatch):
    read = []
    of_header = TraceHeader.from_header_str
    monkeypatch.setattr(TraceHeader, "from_header_str", lambda header: read.append(header) or of_header(header))

    # given a sandbox that is asked several times in an invocation, and then serves another one
    for _ in range(3):
        first = xray_recorder.get_trace_entity()
    monkeypatch.setenv("_X_AMZN_TRACE_ID", OF_AN_ORDER)
    for _ in range(3):
        second = xray_recorder.get_trace_entity()

    # then each has its own trace, and nobody read a header twice
    assert (first.trace_id, second.trace_id) == (OTHER_ROOT, ROOT)
    assert read == [INVOCATION, OF_AN_ORDER]


def test_what_is_handed_on_goes_on_beneath_a_segment_of_the_service_in_its_own_trace(sent):
    with telemetry.handing_on(OF_AN_ORDER, DetailType="OrderCreated") as header:
        assert sent == []

    (segment,) = sent
    assert (segment["trace_id"], segment["parent_id"], segment["name"]) == (ROOT, "53995c3f42cd8ad8", "relay")
    assert header == f"Root={ROOT};Parent={segment['id']};Sampled=1"
    assert segment["annotations"] == {"DetailType": "OrderCreated"}
    assert segment["end_time"] >= segment["start_time"]
    assert current_trace() == INVOCATION


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
