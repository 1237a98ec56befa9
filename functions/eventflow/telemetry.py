"""Logs, metrics and traces. The only module that names aws_xray_sdk: moving to OpenTelemetry is a change here."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit

Handler = Callable[[Any, Any], Any]

logger = Logger()
metrics = Metrics(namespace="EventFlow")
tracer = Tracer(patch_modules=("botocore",))

# Not every invocation counts something.
warnings.filterwarnings("ignore", "No application metrics to publish")


def instrumented(handler: Handler) -> Handler:
    """A Lambda handler with a trace segment, JSON logs and metrics flushed at its end."""
    inner = logger.inject_lambda_context(clear_state=True)(handler)
    inner = metrics.log_metrics(inner)
    inner = tracer.capture_lambda_handler(capture_response=False)(inner)

    @functools.wraps(handler)
    def wrapper(event: Any, context: Any) -> Any:
        _forget_previous_invocation()
        return inner(event, context)

    return wrapper


def _forget_previous_invocation() -> None:
    """A warm sandbox that serves one trace twice keeps the first invocation's segment as parent, else."""
    if not tracer.disabled:
        from aws_xray_sdk.core import xray_recorder

        xray_recorder.clear_trace_entities()


def follow(order_id: str | None, **about: str | None) -> None:
    """Mark what is logged and traced from here on as belonging to this order."""
    logger.set_correlation_id(order_id)
    logger.append_keys(orderId=order_id, **about)  # those that are None do not show
    if order_id:
        tracer.put_annotation("OrderId", order_id)
    if detail_type := about.get("detailType"):
        tracer.put_annotation("DetailType", detail_type)


def forget() -> None:
    """Mark what is logged from here on as belonging to no order: the next one of a batch is about to be read."""
    logger.remove_keys(["correlation_id", "orderId", "detailType", "eventId", "causationId"])


def count(what: str, number: int = 1) -> None:
    """Add to the metric of this name."""
    metrics.add_metric(name=what, unit=MetricUnit.Count, value=number)
