"""One order's trace: where it is kept, and how it is drawn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from botocore.exceptions import EndpointConnectionError
from rich.text import Text

from ops import OpsError
from ops.stack import Stack, runs_here

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_xray import XRayClient

Json = Mapping[str, Any]

BAR = 24
"""Columns of the time axis."""

NO_SERVER = "X-Ray does not run here: `make up` starts it, then `. .local/env`"


def trace_header(order_id: str, stack: Stack, dynamodb: DynamoDBClient) -> str:
    """The header of the trace in which the order was last written: its row keeps it, with the event that it announces.

    Raises OpsError if there is no such order, or nobody traced it.
    """
    row: Any = dynamodb.get_item(TableName=stack.table("OrdersTable"), Key={"orderId": {"S": order_id}}).get("Item")
    if not row:
        raise OpsError(f"stack {stack.name} has no order {order_id}: is that its whole id?")
    header = row.get("event", {}).get("M", {}).get("trace", {}).get("S")
    if not header:
        raise OpsError(f"order {order_id} was written outside of any trace")
    if "Sampled=0" in header.split(";"):
        raise OpsError(
            f"order {order_id} was not sampled: X-Ray keeps the first request of each second and 5 % of the others, "
            "unless a sampling rule says more"
        )
    return str(header)


def documents(trace_id: str, xray: XRayClient, elsewhere: str) -> list[str]:
    """The trace's segment documents, each JSON; none if X-Ray does not have it.

    `elsewhere` is the endpoint of the other services: on one machine X-Ray has an endpoint of its own. Raises OpsError.
    """
    if runs_here(xray) and xray.meta.endpoint_url == elsewhere:
        raise OpsError(NO_SERVER)
    try:
        pages = xray.get_paginator("batch_get_traces").paginate(TraceIds=[trace_id])
        return [segment["Document"] for page in pages for trace in page["Traces"] for segment in trace["Segments"]]
    except EndpointConnectionError:
        if runs_here(xray):
            raise OpsError(NO_SERVER) from None
        raise


def traces_of(order_id: str, header: str, read: Callable[[str], Iterable[str]]) -> list[Trace]:
    """The trace of `header`, and those from which the order went on in it, oldest first: a cancellation is a request,
    and so a trace, of its own. `read` gives a trace's documents by its id. Raises OpsError if there is no trace.
    """
    wanted = [dict(part.split("=", 1) for part in header.split(";"))["Root"]]
    traces = [Trace.of(wanted[0], read(wanted[0]))]
    for trace in traces:
        for segment in trace.segments:
            earlier = segment.annotations.get("GoesOnFrom")
            if earlier and segment.annotations.get("OrderId") == order_id and earlier not in wanted:
                wanted.append(earlier)
                with suppress(OpsError):  # not sampled, or too long ago
                    traces.append(Trace.of(earlier, read(earlier)))
    return sorted(traces, key=lambda trace: trace.segments[0].started)


@dataclass(frozen=True)
class Segment:
    """What one service did, as a segment document tells it. Times are seconds since 1970."""

    document: Json

    @property
    def name(self) -> str:
        """The service, if it says so, rather than the function."""
        return str(self.annotations.get("Service") or self.document["name"])

    @property
    def started(self) -> float:
        return float(self.document["start_time"])

    @property
    def ended(self) -> float:
        """Of one that is still in progress, what is known."""
        return float(self.document.get("end_time", self.started))

    @cached_property
    def parts(self) -> list[Json]:
        """The segment and all its subsegments."""
        found = [self.document]
        for part in found:
            found += part.get("subsegments", [])
        return found

    @property
    def ids(self) -> set[str]:
        return {str(part["id"]) for part in self.parts}

    @cached_property
    def annotations(self) -> dict[str, Any]:
        return {name: value for part in self.parts for name, value in part.get("annotations", {}).items()}

    @property
    def about(self) -> str:
        """What it was asked and answered, if over HTTP; or the function."""
        http = self.document.get("http", {})
        if request := http.get("request"):
            path, status = urlsplit(request.get("url", "")).path, http.get("response", {}).get("status", "")
            return f"{request.get('method', '')} {path} {status}"
        return str(self.document["name"]) if self.name != self.document["name"] else ""

    @property
    def mark(self) -> str:
        """What went wrong, and why as far as it is told."""
        went = [kind for kind in ("fault", "error", "throttle") if self.document.get(kind)]
        causes = [part["cause"] for part in self.parts if isinstance(part.get("cause"), dict)]
        messages = [each.get("message", "") for cause in causes for each in cause.get("exceptions", [])]
        return f"{went[0]}: {messages[0]}" if went and messages else "".join(went[:1])


@dataclass(frozen=True)
class Trace:
    trace_id: str
    segments: Sequence[Segment]

    @classmethod
    def of(cls, trace_id: str, found: Iterable[str]) -> Self:
        """From segment documents, each JSON. Raises OpsError if there are none."""
        read = [Segment(json.loads(document)) for document in found]
        # X-Ray infers segments of what was called, a table say, from the caller's: they tell nothing more
        segments = [segment for segment in read if not segment.document.get("inferred")]
        if not segments:
            raise OpsError(
                f"X-Ray does not have trace {trace_id}: it takes some seconds to come, and is kept for 30 days"
            )
        return cls(trace_id, sorted(segments, key=lambda segment: segment.started))

    def tree(self) -> Iterator[tuple[int, Segment, dict[str, Any]]]:
        """Each segment after the one that led to it, in order of time: how deep it stands, itself, and those of its
        annotations that none of what led to it has.
        """
        owner = {id_: segment for segment in self.segments for id_ in segment.ids}
        causes = {id(segment): owner.get(segment.document.get("parent_id", "")) for segment in self.segments}
        told: set[int] = set()

        def below(
            segment: Segment, depth: int, known: Mapping[str, Any]
        ) -> Iterator[tuple[int, Segment, dict[str, Any]]]:
            if id(segment) in told:
                return
            told.add(id(segment))
            under = [each for each in self.segments if causes[id(each)] is segment]
            news = {name: value for name, value in segment.annotations.items() if known.get(name) != value}
            # of an invocation, AWS sends a segment for Lambda, and under it the function's own, which tells more
            if segment.document.get("origin") != "AWS::Lambda" or not under:
                yield depth, segment, news
                depth += 1
            for each in under:
                yield from below(each, depth, {**known, **news})

        for segment in self.segments:
            if causes[id(segment)] is None:
                yield from below(segment, 0, {})
        for segment in self.segments:  # what is left leads to itself, which only a foreign sender's can
            yield from below(segment, 0, {})

    def drawn(self) -> Iterator[Text]:
        """Line by line: when it started and how long it took, in milliseconds; on the time axis; what it was."""
        first = self.segments[0].started
        whole = max(segment.ended for segment in self.segments) - first
        when = datetime.fromtimestamp(first, UTC)
        yield Text(f"{_plain(self.trace_id)}  {when:%Y-%m-%d %H:%M:%S} UTC  {whole * 1000:.0f} ms", style="bold")
        yield Text(f"{'start':>7} {'ms':>6}", style="dim")
        for depth, segment, news in self.tree():
            line = Text(f"{(segment.started - first) * 1000:+7.0f} {(segment.ended - segment.started) * 1000:6.0f}  ")
            line.append(
                _bar(segment.started - first, segment.ended - first, whole), style="red" if segment.mark else "cyan"
            )
            line.append(f"  {'   ' * (depth - 1) + '└─ ' if depth else ''}")
            line.append(_plain(segment.name), style="bold")
            told = [
                f"{name}={value}"
                for name, value in sorted(news.items())
                if name not in ("Service", "ColdStart", "GoesOnFrom")
            ]
            told += ["cold start"] if segment.annotations.get("ColdStart") else []
            line.append(_plain("".join(f"  {each}" for each in [*told, segment.about] if each)), style="dim")
            if segment.mark:
                line.append(_plain(f"  {segment.mark}"), style="bold red")
            yield line


def _bar(start: float, end: float, whole: float) -> str:
    """A stretch of the whole, as wide as BAR; an instant still shows."""
    columns = BAR / whole if whole else 0
    left = min(int(start * columns), BAR - 1)
    return (" " * left + "█" * max(1, round(end * columns) - left)).ljust(BAR)[:BAR]


def _plain(text: str) -> str:
    """A trace says what callers sent: nothing in it moves the cursor, rings a bell, or turns the direction of text."""
    return "".join(character if character.isprintable() else "�" for character in text)
