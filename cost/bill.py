"""Prices a tally: by AWS's services, and by what the project promises."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from cost.prices import (
    BUSY_MS,
    CALL_MS,
    EXECUTION_MB,
    EXECUTION_MS,
    MILLION,
    PRICES,
    SAMPLED,
)
from cost.tally import Tally

MEMORY_GB = 0.5
"""Of every function: the template's Globals, held by tests/repository/test_cost.py."""

THE_ORDER = "the order itself"
OUTBOX = "no event is lost: relay"
ONCE = "idempotency records"
ARCHIVE = "archive"
LOGS = "logs"
TRACES = "traces"
TIMELINE = "timeline"
PROVIDER = "the simulated payment provider"

GUARANTEES = (THE_ORDER, OUTBOX, ONCE, LOGS, TRACES, ARCHIVE, PROVIDER, TIMELINE)

_TABLES = {"IdempotencyTable": ONCE, "SimulatedGatewayTable": PROVIDER, "TimelineTable": TIMELINE}
"""Whose units are for a guarantee of their own. All others are for the order itself."""


@dataclass(frozen=True)
class Item:
    """`number` is for one order."""

    service: str
    guarantee: str
    what: str
    number: float
    price: str

    @property
    def dollars(self) -> float:
        """For a million orders."""
        return PRICES[self.price].of(self.number * MILLION)


def bill(tally: Tally) -> list[Item]:
    """What a tally's orders cost when they happen; what stays of them costs more each month: `kept`."""
    relay = tally.invocations.get("RelayFunction", 0)
    others = sum(tally.invocations.values()) - relay
    traces = (tally.requests + tally.batches) * SAMPLED
    printed = tally.log_bytes - tally.trace_id_bytes * (1 - SAMPLED)
    items = [
        Item("API Gateway", THE_ORDER, "requests", tally.requests, "API request"),
        Item("API Gateway", THE_ORDER, "data out", tally.answered_bytes, "data out"),
        Item("Lambda", THE_ORDER, "invocations", others, "invocation"),
        Item("Lambda", OUTBOX, "invocations of relay", relay, "invocation"),
        Item("Lambda", THE_ORDER, "duration", _gb_seconds(others, tally.calls - tally.put_calls), "GB-second"),
        Item("Lambda", OUTBOX, "duration of relay", _gb_seconds(relay, tally.put_calls), "GB-second"),
        *_units(tally.writes, "write units", "write unit"),
        *_units(tally.reads, "read units", "read unit"),
        Item("EventBridge", THE_ORDER, "events", tally.entries, "event"),
        Item("EventBridge", ARCHIVE, "bytes archived", tally.archived_bytes, "archived"),
        Item("SQS", THE_ORDER, "requests", tally.messages, "message"),
        Item("CloudWatch Logs", LOGS, "bytes that functions print", printed, "logged"),
        Item("CloudWatch Logs", LOGS, "bytes that Lambda adds", tally.platform_bytes, "logged"),
        Item("X-Ray", TRACES, "traces", traces, "trace"),
        Item("Step Functions", TIMELINE, "executions", sum(tally.executions.values()), "Express execution"),
        Item(
            "Step Functions",
            TIMELINE,
            "duration",
            sum(tally.executions.values()) * EXECUTION_MS / 1000 * EXECUTION_MB / 1024,
            "Express GB-second",
        ),
    ]
    return [item for item in items if item.number]


def _gb_seconds(invocations: float, calls: float) -> float:
    return (invocations * BUSY_MS + calls * CALL_MS) / 1000 * MEMORY_GB


def _units(of: dict[str, float], what: str, price: str) -> Iterable[Item]:
    for name, units in of.items():
        table = name.partition("/")[0]
        yield Item("DynamoDB", _TABLES.get(table, THE_ORDER), f"{what} of {name}", units, price)


def without_timeline(items: Iterable[Item]) -> list[Item]:
    return [item for item in items if item.guarantee != TIMELINE]


def dollars(items: Iterable[Item]) -> float:
    """For a million orders."""
    return sum(item.dollars for item in items)


def by_service(items: Iterable[Item]) -> dict[str, float]:
    return _sums((item.service, item) for item in items)


def by_guarantee(items: Iterable[Item]) -> dict[str, float]:
    return _sums((item.guarantee, item) for item in items)


def _sums(items: Iterable[tuple[str, Item]]) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for name, item in items:
        sums[name] += item.dollars
    return dict(sums)


def kept(tally: Tally) -> float:
    """What a million orders' rows cost a month, in the tables and in their point-in-time recovery, timeline apart."""
    size = sum(bytes_ for table, bytes_ in tally.kept_bytes.items() if table != "TimelineTable") * MILLION
    return PRICES["stored"].of(size) + PRICES["recoverable"].of(size)
