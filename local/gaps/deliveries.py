"""What becomes of an event between EventBridge and a function that fails on it."""

import json
import os
import re
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from ministack.core.arn import parse_arn
from ministack.services import eventbridge, lambda_svc, sqs

from local.gaps.context import holding

Json = dict[str, Any]

invoked: ContextVar[str] = ContextVar("invoked")
"""The ARN of the function that an event is for, with its alias."""


def retry_event_deliveries() -> None:
    """EventBridge hands an event to a Lambda target as an asynchronous invocation: two retries, then the
    on-failure destination (Lambda Developer Guide, "Invoking a Lambda function asynchronously"). The emulator
    runs the function once and forgets how it went.
    """

    def dispatch(arn: str, payload: str) -> None:
        function, config, name = lambda_svc._get_func_record_for_ref(arn)
        if not (function and config):
            eventbridge.logger.warning("EventBridge -> Lambda: no function %s", name)
            return
        # what is asked for is often an alias, and how its failures are met is said of the alias
        _, qualifier = lambda_svc._lambda_function_name_and_qualifier_from_arn(arn)
        record = lambda_svc._execution_record_for_config(function, config)
        record["event_invoke_config"] = lambda_svc._event_invoke_config(lambda_svc._functions[name], qualifier)
        with holding(invoked, f"{lambda_svc._functions[name]['config']['FunctionArn']}:{qualifier or '$LATEST'}"):
            lambda_svc.invoke_async_with_retry(record, json.loads(payload))

    eventbridge._dispatch_to_lambda = dispatch


def tell_why_invocations_failed() -> None:
    """The on-failure record tells how often the function was tried, and which exception it raised; a bus gets it as an
    event (Lambda Developer Guide, "Retaining records of asynchronous invocations"). The emulator always writes 3 times
    and Runtime.HandlerError, and loses records that are for a bus: "DLQ target not found".
    """
    invoke, execute = lambda_svc.invoke_async_with_retry, lambda_svc._execute_function
    send_elsewhere = lambda_svc._route_async_failure
    attempts: ContextVar[list[str]] = ContextVar("attempts")

    def invoke_async_with_retry(function: Json, event: Json) -> None:
        with holding(attempts, []):
            invoke(function, event)

    def execute_function(function: Json, event: Json) -> Any:
        result = execute(function, event)
        attempts.get([]).append("one more")
        if result.get("error") and isinstance(result.get("body"), dict):
            result["body"]["errorType"] = _exception_raised(result)
        return result

    def route_async_failure(target_arn: str, function_name: str, event: Json, result: Json) -> None:
        target = parse_arn(target_arn)
        if target.service not in ("sqs", "events"):
            send_elsewhere(target_arn, function_name, event, result)
            return
        record = _failure_record(invoked.get(function_name), event, result["body"], len(attempts.get([])))
        if target.service == "sqs":
            eventbridge._dispatch_to_sqs(target, json.dumps(record))
        else:
            _put_on_bus(target_arn, record)

    lambda_svc.invoke_async_with_retry = invoke_async_with_retry
    lambda_svc._execute_function = execute_function
    lambda_svc._route_async_failure = route_async_failure


def bring_failed_messages_again_soon() -> None:
    """A message that a function did not handle comes again when its queue's visibility timeout has passed (Lambda
    Developer Guide, "Handling errors for an SQS event source in Lambda"), which is a minute and more. The emulator does
    the same; here a test or a person would wait for minutes. As with its other retries, it waits for seconds: as long
    as before the first retry of an asynchronous invocation.
    """
    run, wait = lambda_svc._run_sqs_batch, float(os.environ["LAMBDA_ASYNC_RETRY_BASE_SECONDS"])

    def run_sqs_batch(esm: Json, function: Json, event: Json, batch: list[Json], queue_url: str, name: str) -> None:
        ours = {message["receipt_handle"] for message in batch}
        run(esm, function, event, batch, queue_url, name)
        with sqs._queues_lock:
            for message in (sqs._queues.get(queue_url) or {"messages": []})["messages"]:
                if message["receipt_handle"] in ours:  # it is still there, and nobody was handed it since
                    message["visible_at"] = min(message["visible_at"], time.time() + wait)

    lambda_svc._run_sqs_batch = run_sqs_batch


def _put_on_bus(bus_arn: str, record: Json) -> None:
    """The order of `resources` is not documented; nothing may depend on it."""
    eventbridge._put_events(
        {
            "Entries": [
                {
                    "EventBusName": bus_arn,
                    "Source": "lambda",
                    "DetailType": "Lambda Function Invocation Result - Failure",
                    "Resources": [bus_arn, record["requestContext"]["functionArn"]],
                    "Detail": json.dumps(record),
                }
            ]
        }
    )


def _exception_raised(result: Json) -> Any:
    """The name of the exception's class, which the emulator leaves in the traceback."""
    named, message = result["body"].get("errorType"), result["body"].get("errorMessage", "")
    if named != "Runtime.HandlerError":
        return named
    raised = re.search(rf"^([\w.]+): {re.escape(message)}", result.get("log", ""), re.MULTILINE)
    return raised[1].rpartition(".")[2] if raised else named


def _failure_record(function_arn: str, event: Json, response: Json, attempts: int) -> Json:
    return {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": lambda_svc.new_uuid(),
            "functionArn": function_arn,
            "condition": "RetriesExhausted",
            "approximateInvokeCount": attempts,
        },
        "requestPayload": event,
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        },
        "responsePayload": response,
    }
