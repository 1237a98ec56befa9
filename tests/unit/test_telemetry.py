"""What an invocation leaves behind: its own log lines, metrics and trace, and nothing of the last one's."""

import io
import json

from aws_xray_sdk.core import xray_recorder

from eventflow import telemetry

from .lambda_context import LambdaContext


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
    assert (first["orderId"], first["correlation_id"], first["detailType"]) == ("order-1", "order-1", "OrderCreated")
    assert not {"orderId", "correlation_id", "detailType"} & second.keys()


def test_what_is_counted_is_a_metric_of_eventflow_at_the_invocations_end(capsys):
    @telemetry.instrumented
    def handler(event, context):
        telemetry.count("OrderConfirmed")
        telemetry.count("OrderConfirmed")

    handler({}, LambdaContext())

    metric = json.loads(capsys.readouterr().out)
    (definition,) = metric["_aws"]["CloudWatchMetrics"]
    assert definition["Namespace"] == "EventFlow"
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
