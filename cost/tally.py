"""What a saga's calls come to: the record of local/gaps/calls.py, added up for one order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Call = Mapping[str, Any]
"""A line of the record."""

EVENT_CHUNK = 64 * 1024
"""Bytes of an event, or of a message, that are billed as one. Of an archive every byte counts."""

PLATFORM_LINES = (75, 53, 175, 110)
"""Bytes of what Lambda itself writes of an invocation in plain text: START, END, REPORT and, where a trace is
sampled, `XRAY TraceId`, which stands at REPORT's end."""

TRACE_ID_BYTES = len(',"xray_trace_id":"1-5759e988-bd862e3fe1be46a994272793"')

LINE_OVERHEAD = 26
"""Bytes that CloudWatch Logs adds to each line (PutLogEvents, in its API reference)."""


@dataclass
class Tally:
    """Of one order, on average. Names are those of the templates; the timeline's own stand apart, under its stack."""

    requests: float = 0
    answered_bytes: float = 0
    entries: float = 0
    """Of PutEvents, of 64 KB each."""
    put_calls: float = 0
    archived_bytes: float = 0
    invocations: dict[str, float] = field(default_factory=dict)
    batches: float = 0
    """Of the invocations those that a stream or a queue led to, and that Lambda begins a trace of its own for."""
    calls: float = 0
    """By functions, to other services."""
    writes: dict[str, float] = field(default_factory=dict)
    """Units, by table, or table/index."""
    reads: dict[str, float] = field(default_factory=dict)
    messages: float = 0
    """Requests to SQS, of 64 KB each."""
    executions: dict[str, float] = field(default_factory=dict)
    log_lines: float = 0
    log_bytes: float = 0
    """Of what functions print, where the trace is sampled."""
    trace_id_bytes: float = 0
    """Of these, those that name the trace. Where it is not sampled there are none."""
    platform_bytes: float = 0
    """Of what Lambda writes beside it."""
    kept_bytes: dict[str, float] = field(default_factory=dict)
    """What stays in each table."""

    def as_json(self) -> dict[str, Any]:
        return {name: _rounded(value) for name, value in asdict(self).items()}

    def units(self, of: Mapping[str, float], *tables: str) -> float:
        """Of these tables and their indexes."""
        return sum(units for name, units in of.items() if name.partition("/")[0] in tables)


def tallied(calls: Iterable[Call], orders: int, named: Mapping[str, str], kept_bytes: Mapping[str, int]) -> Tally:
    """The calls of so many orders, for one. `named` has the logical by the physical id of what the stacks hold."""
    tally = Tally(kept_bytes={table: size / orders for table, size in kept_bytes.items()})
    one = 1 / orders
    writes: Counter[str] = Counter()
    reads: Counter[str] = Counter()
    invocations: Counter[str] = Counter()
    executions: Counter[str] = Counter()
    for call in calls:
        name = named.get(call["resource"], call["resource"])
        match call["service"]:
            case "apigateway":
                tally.requests += one
                tally.answered_bytes += call["bytes"] * one
            case "events" if name != "EventBus":
                pass  # what AWS's own services say on the default bus is free
            case "events" if call["operation"] == "PutEvents":
                tally.entries += math.ceil(call["bytes"] / EVENT_CHUNK) * one
                tally.put_calls += one
            case "events":
                tally.archived_bytes += call["bytes"] * one
            case "lambda" if call["operation"] == "Invoke":
                invocations[name] += 1
                tally.batches += call["traced"] * one
                tally.log_lines += len(call["lines"]) * one
                tally.log_bytes += sum(size + LINE_OVERHEAD for size in call["lines"]) * one
                tally.trace_id_bytes += call["naming_traces"] * TRACE_ID_BYTES * one
                if call["platform"]:
                    tally.platform_bytes += sum(size + LINE_OVERHEAD for size in PLATFORM_LINES[:3]) * one
            case "dynamodb" if "write" in call:
                writes[name] += call["write"]
                for index, units in call["index"].items():
                    writes[f"{name}/{index}"] += units
            case "dynamodb":
                through = f"/{call['through']}" if call.get("through") else ""
                reads[f"{name}{through}"] += call["read"]
            case "sqs":
                tally.messages += max(1, math.ceil(call["bytes"] / EVENT_CHUNK)) * one
            case "states":
                executions[name] += 1
        if call["service"] == "dynamodb" and name != "TimelineTable":
            tally.calls += call.get("call", True) * one
    tally.calls += tally.put_calls
    for counter, of in (
        (writes, tally.writes),
        (reads, tally.reads),
        (invocations, tally.invocations),
        (executions, tally.executions),
    ):
        of.update({name: count * one for name, count in sorted(counter.items())})
    return tally


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: round(each, 3) for name, each in value.items()}
    return round(value, 3)
