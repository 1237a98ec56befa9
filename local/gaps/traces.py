"""Traces: which one an invocation belongs to, and the segments that AWS itself sends of it."""

import json
import os
import secrets
import socket
import time
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from ministack.core.responses import get_region
from ministack.services import apigateway_v1, eventbridge, lambda_svc, sqs

from local.gaps.context import holding

Json = dict[str, Any]

cause: ContextVar[str | None] = ContextVar("cause", default=None)
"""The trace header that came with whatever is being answered now: where a trace goes on, and under what."""


def trace_invocations() -> None:
    """An invocation goes on with the trace of its cause, or begins one. Of each, Lambda sends X-Ray a segment, whose id
    the function is told as the Parent in _X_AMZN_TRACE_ID, so that what it records stands under it (Lambda Developer
    Guide, "Visualize Lambda function invocations using AWS X-Ray"). With PassThrough it sends nothing and passes on
    only the Root (aws-xray-sdk-java, pull request 409). The emulator begins a trace each time, and sends nothing.
    """
    run, begin_trace = lambda_svc._execute_function_warm, lambda_svc._xray_trace_id_for_invocation
    own: ContextVar[str | None] = ContextVar("own", default=None)

    def execute_function_warm(function: Json, event: Any, request_id: str) -> Any:
        config = function.get("config") or function
        if config.get("TracingConfig", {}).get("Mode") != "Active":
            return run(function, event, request_id)
        segment = _begin(config["FunctionName"], "AWS::Lambda::Function", cause.get())
        with holding(own, _header(segment)):
            result = run(function, event, request_id)
        _send(segment, fault=bool(result.get("error")), aws={"request_id": request_id})
        return result

    def trace_id_for_invocation(config: Json, inbound: str | None = None) -> Any:
        if config.get("TracingConfig", {}).get("Mode") == "PassThrough":
            return f"Root={_begin('', '', inbound or cause.get())['trace_id']}"
        return begin_trace(config, inbound or own.get() or cause.get())

    lambda_svc._execute_function_warm = execute_function_warm
    lambda_svc._xray_trace_id_for_invocation = trace_id_for_invocation


def trace_requests() -> None:
    """A stage with tracing enabled takes up the trace of a request's X-Amzn-Trace-Id, or begins one, and sends X-Ray a
    segment above the function's (API Gateway Developer Guide, "Trace user requests to REST APIs using X-Ray"). The
    emulator does neither.
    """
    invoke = apigateway_v1._invoke_lambda_proxy_v1

    async def invoke_lambda_proxy(*arguments: Any, **more: Any) -> Any:
        _, api_id, stage_name, stage, _, path, method, headers, *_ = arguments
        if not stage.get("tracingEnabled"):
            return await invoke(*arguments, **more)
        api = apigateway_v1._rest_apis[api_id]["name"]
        segment = _begin(f"{api}/{stage_name}", "AWS::ApiGateway::Stage", headers.get("x-amzn-trace-id"))
        with holding(cause, _header(segment)):
            status, *answer = await invoke(*arguments, **more)
        url = f"https://{api_id}.execute-api.{get_region()}.amazonaws.com/{stage_name}{path}"
        http = {"request": {"method": method, "url": url}, "response": {"status": status}}
        _send(segment, fault=status >= 500, error=400 <= status < 500, throttle=status == 429, http=http)
        return status, *answer

    apigateway_v1._invoke_lambda_proxy_v1 = invoke_lambda_proxy


def hand_traces_to_queues() -> None:
    """EventBridge passes an event's trace header on to every target, a queue gets it as the message's AWSTraceHeader;
    and takes it from the X-Amzn-Trace-Id of the PutEvents call where an entry brings none (EventBridge User Guide,
    "Amazon EventBridge integration with AWS X-Ray"). The emulator drops it.
    """
    answer, complete = eventbridge.handle_request, sqs._ensure_msg_fields

    async def handle_request(method: str, path: str, headers: Json, *rest: Any) -> Any:
        with holding(cause, headers.get("x-amzn-trace-id")):
            return await answer(method, path, headers, *rest)

    def ensure_msg_fields(message: Json) -> None:
        complete(message)
        if cause.get():
            message.setdefault("sys", {}).setdefault("AWSTraceHeader", cause.get())

    eventbridge.handle_request = handle_request
    sqs._ensure_msg_fields = ensure_msg_fields


def _begin(name: str, origin: str, under: str | None) -> Json:
    """A segment under the one that the header `under` names, or the first of a new trace."""
    trace = dict(part.split("=", 1) for part in (under or "").split(";") if "=" in part)
    now = time.time()
    segment = {
        "name": name,
        "id": secrets.token_hex(8),
        "trace_id": trace.get("Root") or f"1-{int(now):08x}-{secrets.token_hex(12)}",
        "start_time": now,
        "origin": origin,
        "sampled": trace.get("Sampled", "1") == "1",
    }
    return segment | ({"parent_id": trace["Parent"]} if "Parent" in trace else {})


def _header(segment: Json) -> str:
    """What the segment's name is to what happens under it."""
    return f"Root={segment['trace_id']};Parent={segment['id']};Sampled={segment['sampled']:d}"


def _send(segment: Json, **about: Any) -> None:
    """End the segment, and send it to the X-Ray daemon, if one listens."""
    address = os.environ.get("AWS_XRAY_DAEMON_ADDRESS")
    document = {**segment, "end_time": time.time(), **{key: value for key, value in about.items() if value}}
    if address and document.pop("sampled"):
        host, _, port = address.partition(":")
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
            daemon.sendto(b'{"format":"json","version":1}\n' + json.dumps(document).encode(), (host, int(port)))
