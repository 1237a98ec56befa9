"""`make scale`: what each part of EventFlow needs at a rate of orders, beside AWS's figure for it.

What an order needs is the record of `make cost`. What AWS allows is written here, with its source.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import stock_row, tables
from benchmarks.tables import table
from cost.prices import BUSY_MS, CALL_MS, SAMPLED
from cost.records import recorded_tallies
from cost.tally import Tally

RATES = (10, 1_000, 100_000)
"""Orders a second."""

BEST_SELLER = 0.1
"""The share of orders that are of one product: an assumption."""

ENTRIES = 10
"""Of one PutEvents call, at most."""

BATCH = 100
"""Records that a stream hands to relay at once, at most: Lambda's default BatchSize."""

SEGMENTS = 2
"""That X-Ray gets of an invocation: Lambda's own and the function's."""

_LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg/"
_DYNAMODB = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/"


@dataclass(frozen=True)
class Limit:
    """A figure of AWS's, or of this template's, that one part of EventFlow meets first."""

    part: str
    what: str
    needs: Callable[[Tally, float], float]
    """Of it, at so many orders a second."""
    has: float
    source: str
    moved_by: str


def busy(tally: Tally, rate: float) -> float:
    """Sandboxes at work at once."""
    return rate * (sum(tally.invocations.values()) * BUSY_MS + tally.calls * CALL_MS) / 1000


def busiest(tally: Tally, rate: float) -> float:
    """The same, of the function that is at work most: notification or orders, twice an order each."""
    most = max(count for name, count in tally.invocations.items() if name != "RelayFunction")
    calls = (tally.calls - tally.put_calls) / sum(
        count for name, count in tally.invocations.items() if name != "RelayFunction"
    )
    return rate * most * (BUSY_MS + calls * CALL_MS) / 1000


def segments(tally: Tally, rate: float) -> float:
    """That X-Ray is sent a second. Of relay there is one of each event, which it sends itself."""
    traced = sum(count for name, count in tally.invocations.items() if name != "RelayFunction")
    return rate * SAMPLED * (tally.requests + SEGMENTS * traced + tally.entries)


def shard(tally: Tally, rate: float) -> float:
    """Events a second of one shard of OrdersTable's stream: a shard has what one partition takes, 1,000 writes."""
    writes = tally.writes["OrdersTable"]
    return min(rate * writes, 1000) * 2 / writes  # two of an order's writes announce something


def shard_at_most(parallelization: int) -> float:
    """Events a second that relay publishes of one shard."""
    batch_seconds = (BUSY_MS + BATCH / ENTRIES * CALL_MS) / 1000
    return parallelization * BATCH / batch_seconds


def put_calls(tally: Tally, rate: float) -> float:
    """With relay's batches full: as many as there can be in one call. Alone, an event is a call."""
    events = rate * tally.entries
    return min(events, max(events / ENTRIES, 4 * 3))


def deliveries(tally: Tally, rate: float) -> float:
    """Of events by rules to targets."""
    by_rules = sum(count for name, count in tally.invocations.items() if name not in NOT_BY_RULES)
    return rate * (by_rules + sum(tally.executions.values()))


NOT_BY_RULES = ("RelayFunction", "OrdersApiFunction", "BasketApiFunction", "OrdersCheckoutsFunction")


def units(name: str) -> Callable[[Tally, float], float]:
    return lambda tally, rate: rate * tally.writes.get(name, 0)


LIMITS = (
    Limit(
        "API",
        "requests a second, by the stage's own throttle",
        lambda tally, rate: rate * tally.requests,
        500,
        "template.yaml, Api, ThrottlingRateLimit",
        "the template's figure, up to the account's",
    ),
    Limit(
        "API",
        "requests a second of the account",
        lambda tally, rate: rate * tally.requests,
        10_000,
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html",
        "a quota; beyond it, orders in several accounts or regions",
    ),
    Limit(
        "Lambda",
        "sandboxes at work at once, of the account",
        busy,
        1_000,
        f"{_LAMBDA}lambda-concurrency.html",
        "a quota (tens of thousands)",
    ),
    Limit(
        "Lambda's growth",
        "sandboxes of the busiest function, if all orders begin within ten seconds",
        busiest,
        1_000,
        f"{_LAMBDA}scaling-behavior.html",
        "fixed, for each function; provisioned concurrency before a sale. Events wait meanwhile, requests are 500",
    ),
    Limit(
        "relay",
        "events a second of one shard, one batch at a time",
        shard,
        shard_at_most(1),
        f"{_LAMBDA}services-ddb-params.html",
        "RelayParallelization, up to 10 batches of a shard at once; a table has a shard for each partition",
    ),
    Limit(
        "PutEvents",
        "calls a second, with full batches",
        put_calls,
        10_000,
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html (us-east-1)",
        "a quota; RelayBatchSeconds fills the batches",
    ),
    Limit(
        "rules",
        "deliveries to targets a second, timeline's included",
        deliveries,
        18_750,
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html (us-east-1)",
        "a quota; above it deliveries are late, not lost",
    ),
    Limit(
        "OrdersTable",
        "write units a second",
        units("OrdersTable"),
        4_000,
        f"{_DYNAMODB}warm-throughput-scenarios.html (a new table)",
        "it grows by itself (twice its last peak within 30 minutes); WarmThroughput beforehand; then the quota below",
    ),
    Limit(
        "idempotency table",
        "write units a second",
        units("IdempotencyTable"),
        4_000,
        f"{_DYNAMODB}warm-throughput-scenarios.html (a new table)",
        "as above; or one table for each service: IDEMPOTENCY_TABLE is set for each function",
    ),
    Limit(
        "idempotency table",
        "write units a second",
        units("IdempotencyTable"),
        40_000,
        f"{_DYNAMODB}ServiceQuotas.html (per table)",
        "a quota; or one table for each service",
    ),
    Limit(
        "one product's stock row",
        f"reservations a second, if {BEST_SELLER:.0%} of orders are of it",
        lambda _, rate: rate * BEST_SELLER,
        1 / stock_row.TRANSACTION_SECONDS / 2,
        "the model below: half of what the row could take back to back",
        "a design change, below",
    ),
    Limit(
        "one product's stock row",
        f"write units a second, if {BEST_SELLER:.0%} of orders are of it",
        lambda tally, rate: rate * BEST_SELLER * tally.writes["InventoryTable"],
        1_000,
        f"{_DYNAMODB}bp-partition-key-design.html",
        "fixed, for each partition: a design change, below",
    ),
    Limit(
        "index of orders by user",
        "write units a second of one user's partition, who places one order a second",
        lambda tally, _: tally.writes["OrdersTable/byUser"],
        1_000,
        f"{_DYNAMODB}bp-partition-key-design.html",
        "nothing: no person is near it. A shop that orders for others would want a key of its own",
    ),
    Limit(
        "timeline",
        "executions started a second",
        lambda tally, rate: rate * sum(tally.executions.values()),
        6_000,
        "https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html",
        "a quota",
    ),
    Limit(
        "timeline's list of open sagas",
        "write units a second of one of its eight partitions",
        lambda tally, rate: units("TimelineTable/byBucket")(tally, rate) / 8,
        1_000,
        f"{_DYNAMODB}bp-partition-key-design.html",
        "`Buckets`",
    ),
    Limit(
        "logs",
        "PutLogEvents calls a second, if each invocation is one",
        lambda tally, rate: rate * sum(tally.invocations.values()),
        5_000,
        "https://docs.aws.amazon.com/general/latest/gr/cwl_region.html",
        "a quota. (AWS does not say that Lambda's deliveries count against it.)",
    ),
    Limit(
        "traces",
        "segments a second",
        segments,
        2_600,
        "https://docs.aws.amazon.com/general/latest/gr/xray.html",
        "nothing: AWS does not raise it. Sample fewer; segments that are refused are missing, and nothing else",
    ),
)


def tables_of(confirmed: Tally) -> dict[str, str]:
    return {
        "first": _first(confirmed),
        "limits": _limits(confirmed),
        "sources": _sources(),
        "stock row": _stock_row(),
    }


def _first(confirmed: Tally) -> str:
    """For each rate what is over its figure, the worst first; or what is nearest to it."""
    rows = []
    for rate in RATES:
        used = sorted(((limit.needs(confirmed, rate) / limit.has, limit) for limit in LIMITS), key=lambda it: -it[0])
        over = [f"{limit.part} ({_share(share)})" for share, limit in used if share > 1]
        nearest = f"nothing; nearest is {used[0][1].part} ({_share(used[0][0])})"
        rows.append([f"{rate:,}", ", ".join(dict.fromkeys(over)) or nearest])
    return table(["orders a second", "over AWS's default, or the template's figure"], rows)


def _limits(confirmed: Tally) -> str:
    return table(
        ["part", "what", "figure", *(f"at {rate:,}" for rate in RATES), "what moves it"],
        [
            [
                limit.part,
                limit.what,
                f"{limit.has:,.0f}",
                *(_cell(limit.needs(confirmed, rate), limit.has) for rate in RATES),
                limit.moved_by,
            ]
            for limit in LIMITS
        ],
    )


def _cell(needs: float, has: float) -> str:
    text = f"{_number(needs)} ({_share(needs / has)})"
    return f"**{text}**" if needs > has else text


def _share(share: float) -> str:
    return f"{share:.0%}" if share < 9.995 else f"{_number(share)} times"


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _sources() -> str:
    return table(
        ["part", "figure", "source"],
        [[limit.part, f"{limit.has:,.0f} {limit.what}", limit.source] for limit in LIMITS],
    )


def _stock_row() -> str:
    def cell(result: stock_row.Result) -> str:
        late = f", {result.gave_up:.0%} gave up" if result.gave_up >= 0.0005 else ""
        return f"{result.median:.2f} / {result.p99:.2f} s{late}"

    rows = [
        [
            f"{rate:,}",
            cell(stock_row.retried(rate, rows=1)),
            cell(stock_row.retried(rate, rows=10)),
            cell(stock_row.retried(rate, rows=100)),
            cell(stock_row.batches(rate)),
        ]
        for rate in (10, 50, 100, 500, 2_000)
    ]
    return table(["orders of it a second", "one row (today)", "10 rows", "100 rows", "a queue, and batches"], rows)


def highest_rate(confirmed: Tally) -> float:
    """Orders a second at which nothing is over its figure, to two digits."""
    rate = min(
        limit.has / limit.needs(confirmed, 1)
        for limit in LIMITS
        if limit.needs(confirmed, 1000) > limit.needs(confirmed, 1)
    )
    digits = 10 ** (math.floor(math.log10(rate)) - 1)
    return math.floor(rate / digits) * digits


def main() -> None:
    confirmed = recorded_tallies()["confirmed"]
    path = tables.write("scale.md", tables_of(confirmed))
    print(f"Up to {highest_rate(confirmed):,.0f} orders a second nothing is over its default. Written: {path}")


if __name__ == "__main__":
    main()
