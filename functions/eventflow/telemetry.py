"""Logs, metrics and traces. The only module that names aws_xray_sdk: moving to OpenTelemetry is a change here."""

from __future__ import annotations

import functools
import os
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics, Tracer, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from eventflow import trace

if TYPE_CHECKING:
    from mypy_boto3_xray import XRayClient

Handler = Callable[[Any, Any], Any]

# Each byte of a line is billed, for each event. Where in the code it was logged, its message says.
logger = Logger(location=None, use_rfc3339=True)
metrics = Metrics()  # in the namespace POWERTOOLS_METRICS_NAMESPACE, which is the stack's own
tracer = Tracer(patch_modules=("botocore",))

SAID_ELSEWHERE = ["function_name", "function_memory_size", "function_arn"]
"""What Powertools adds to every line, and the log group's name says already: a third of a line."""

# Not every invocation counts something.
warnings.filterwarnings("ignore", "No application metrics to publish")


def instrumented(handler: Handler) -> Handler:
    """A Lambda handler with a trace segment, JSON logs and metrics flushed at its end."""
    inner = logger.inject_lambda_context(clear_state=True)(_telling_why(handler))
    inner = metrics.log_metrics(inner)
    inner = tracer.capture_lambda_handler(capture_response=False)(inner)

    @functools.wraps(handler)
    def wrapper(event: Any, context: Any) -> Any:
        _forget_previous_invocation()
        try:
            return inner(event, context)
        finally:
            _send_ended()

    return wrapper


def _telling_why(handler: Handler) -> Handler:
    """What Lambda itself logs of an exception is no JSON and names no order."""

    @functools.wraps(handler)
    def wrapper(event: Any, context: Any) -> Any:
        warm = not logger.get_current_keys().get("cold_start")
        logger.remove_keys([*SAID_ELSEWHERE, "cold_start"] if warm else SAID_ELSEWHERE)
        _name_the_trace()
        try:
            return handler(event, context)
        except Exception:
            logger.exception("failed")
            raise

    return wrapper


def _name_the_trace() -> None:
    """A line names its trace where X-Ray keeps that: of one in twenty."""
    if trace.fields(os.environ.get(trace.VARIABLE, "")).get("Sampled") == "1":
        logger.remove_keys(["xray_trace_id"])
    else:
        logger.append_keys(xray_trace_id=None)


def _forget_previous_invocation() -> None:
    """A warm sandbox that serves one trace twice keeps the first invocation's segment as parent, else."""
    if recorder := _recorder():
        recorder.clear_trace_entities()


def _read_the_trace_once() -> None:
    """Of an invocation. The SDK parses the header whenever it is asked for a segment, some twenty times."""
    recorder = _recorder()
    if recorder is None:
        return
    from aws_xray_sdk.core.lambda_launcher import LambdaContext

    if not isinstance(recorder.context, LambdaContext):
        return  # not in a Lambda

    class Context(LambdaContext):  # type: ignore[misc]
        def _refresh_context(self) -> None:
            header = os.environ.get(trace.VARIABLE)
            if header != getattr(self._local, "header", None) or not getattr(self._local, "segment", None):
                super()._refresh_context()
                self._local.header = header

    recorder.configure(context=Context())


@contextmanager
def handing_on(header: str | None, **annotations: str) -> Iterator[str | None]:
    """A segment of this service in the trace of `header`. Yields the header of what goes on under it.

    For what an invocation does for a trace that is not its own: a stream's batch holds the events of many, and belongs
    to none. Where that trace is not sampled, `header` itself is yielded. The segment goes to X-Ray when the invocation
    ends.
    """
    with _segment(header, _send_later) as segment:
        for name, value in annotations.items() if segment else ():
            segment.put_annotation(name, value)
        yield _header(segment) if segment else header


@contextmanager
def taking_part_in(header: str | None) -> Iterator[None]:
    """What is done and announced here belongs to the trace of `header` (None: to the invocation's), in a segment there.

    For a message of a queue: to AWS, the invocation that takes a batch is a trace of its own, linked to those of the
    messages, and their orders would all go on in that one.
    """
    if not header:
        yield
        return
    own = os.environ.get(trace.VARIABLE)
    with _segment(header, _send_now) as segment:
        recorder = _recorder()
        entity = recorder.get_trace_entity() if recorder else None
        # the recorder, the logger and `current_trace` all ask the variable
        os.environ[trace.VARIABLE] = _header(segment) if segment else header
        _name_the_trace()
        if segment:
            recorder.set_trace_entity(segment)
        try:
            yield
        finally:
            os.environ.pop(trace.VARIABLE)
            os.environ.update({trace.VARIABLE: own} if own else {})
            _name_the_trace()
            if recorder:
                recorder.set_trace_entity(entity)


@contextmanager
def _segment(header: str | None, send: Callable[[Any], None]) -> Iterator[Any]:
    """A segment in the trace of `header`; None where that is not sampled.

    The SDK refuses to begin one in a Lambda, where it takes the invocation's for the only one.
    """
    found = trace.fields(header or "")
    if tracer.disabled or "Root" not in found or found.get("Sampled") != "1":
        yield None
        return
    from aws_xray_sdk.core.models.segment import Segment

    segment = Segment(tracer.service, traceid=found["Root"], parent_id=found.get("Parent"))
    try:
        yield segment
    except BaseException as error:
        segment.add_exception(error, traceback.extract_tb(error.__traceback__))
        raise
    finally:
        segment.close()
        send(segment)


def _send_now(segment: Any) -> None:
    """To X-Ray's daemon, which has had what stands beneath it."""
    _recorder().emitter.send_entity(segment)


def _send_later(segment: Any) -> None:
    """By X-Ray's API, when the invocation ends."""
    _ended.append(segment.serialize())


_ended: list[str] = []
"""Documents of the segments that are to be sent by the API."""

SENT_AT_ONCE = 50
"""Documents in a call: as many as X-Ray's own daemon sends."""


def _send_ended() -> None:
    """X-Ray's daemon runs beside an invocation that is itself sampled (X-Ray Developer Guide, "AWS X-Ray daemon"), and
    one of relay's never is, though an event in its batch may be. What cannot be sent is missing in its trace, and stops
    nobody.
    """
    while _ended:
        documents = _ended[:SENT_AT_ONCE]
        del _ended[:SENT_AT_ONCE]
        try:
            xray = _xray()
            xray.put_trace_segments(TraceSegmentDocuments=documents)
        except Exception:
            logger.warning("segments not sent", exc_info=True)


@functools.cache
def _xray() -> XRayClient:
    """Made for the first trace that is sampled: most invocations need none."""
    from botocore.config import Config

    from eventflow import aws

    made: XRayClient = aws.client("xray", Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1}))
    return made


def _header(segment: Any) -> str:
    return f"Root={segment.trace_id};Parent={segment.id};Sampled=1"


def _recorder() -> Any:
    """The SDK's, or None where nothing is traced."""
    if tracer.disabled:
        return None
    from aws_xray_sdk.core import xray_recorder

    return xray_recorder


def follow(order_id: str | None, **about: str | None) -> None:
    """Mark what is logged and traced from here on as belonging to this order."""
    logger.append_keys(orderId=order_id, **about)  # those that are None do not show
    if order_id:
        tracer.put_annotation("OrderId", order_id)
    if detail_type := about.get("detailType"):
        tracer.put_annotation("DetailType", detail_type)


def goes_on_from(header: str | None) -> None:
    """Note in the trace that what it works on was last written in the trace of `header`, if that is another one.

    A cancellation is a request, and so a trace, of its own: this leads from it to the one that placed the order.
    """
    root, own = (trace.fields(each or "").get("Root") for each in (header, trace.current_trace()))
    if root and root != own:
        tracer.put_annotation("GoesOnFrom", root)


OF_AN_EVENT = ["detailType", "eventId", "causationId"]
"""What `follow` is told about it."""


def forget() -> None:
    """Mark what is logged from here on as belonging to no order: the next one of a batch is about to be read."""
    logger.remove_keys(["orderId", *OF_AN_EVENT])


def conclude(message: str, **about: Any) -> None:
    """Log what came of an event, as an invocation's last line. What event it was, the line "received" says."""
    logger.remove_keys(OF_AN_EVENT)
    logger.info(message, **about)


def count(what: str, number: int = 1) -> None:
    """Add to the metric of this name."""
    metrics.add_metric(name=what, unit=MetricUnit.Count, value=number)


def count_one(what: str, **dimensions: str) -> None:
    """Add one to the metric of this name, which is told apart by these dimensions too."""
    with single_metric(what, MetricUnit.Count, 1) as metric:
        metric.add_dimension("service", metrics.service)
        for name, value in dimensions.items():
            metric.add_dimension(name, value)


def measure(what: str, milliseconds: float) -> None:
    """Add a duration to the metric of this name."""
    metrics.add_metric(name=what, unit=MetricUnit.Milliseconds, value=milliseconds)


_read_the_trace_once()
