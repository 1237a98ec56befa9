"""The tables of docs/performance.md, "Billed per order"."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.cost.rest import at_rest
from benchmarks.tables import table
from cost import records
from cost.bill import (
    GUARANTEES,
    ONCE,
    PROVIDER,
    TIMELINE,
    TRACES,
    Item,
    bill,
    by_guarantee,
    by_service,
    dollars,
    kept,
    without_timeline,
)
from cost.prices import AS_OF, PRICES
from cost.tally import Tally

BEFORE = Path(records.__file__).with_name("before.json")
"""The tally of a confirmed order before any lever was pulled: recorded by this program on commit 4dc7ec1. (It counted a
transaction as two calls then; that is put right.)"""

A_MILLION_A_DAY = 1_000_000 / 86_400
"""Orders a second."""

POLLS = 4.0
"""How often a second Lambda asks a shard for records (Lambda Developer Guide, "Using AWS Lambda with DynamoDB")."""


def tables(tallies: Mapping[str, Tally]) -> dict[str, str]:
    """By the names of their places in the document."""
    return {
        "outcomes": outcomes(tallies),
        "guarantees": guarantees(tallies["confirmed"]),
        "services": services(tallies["confirmed"]),
        "levers": levers(tallies["confirmed"]),
        "prices": prices(),
    }


def outcomes(tallies: Mapping[str, Tally]) -> str:
    head = [
        "outcome",
        "alone",
        "at a million orders a day",
        "with the timeline: alone",
        "at a million",
        "its rows, a month",
    ]
    return table(
        head,
        [
            [
                outcome,
                _money(dollars(without_timeline(bill(tally)))),
                _money(dollars(without_timeline(bill(batched(tally))))),
                _money(dollars(bill(tally))),
                _money(dollars(bill(batched(tally)))),
                _money(kept(tally)),
            ]
            for outcome, tally in tallies.items()
        ],
    )


def batched(tally: Tally, orders_a_second: float = A_MILLION_A_DAY) -> Tally:
    """The same at a rate at which relay finds several events whenever it is asked to look.

    Lambda asks each stream's shard POLLS times a second, so relay runs no more often than that. (At this rate each
    table has one shard.)
    """
    streams = 3 if "BasketsTable" not in tally.writes else 4
    most = POLLS * streams / orders_a_second
    runs = tally.invocations.get("RelayFunction", 0)
    fewer = min(runs, most)
    return Tally(
        **{
            **vars(tally),
            "invocations": {**tally.invocations, "RelayFunction": fewer},
            "put_calls": tally.put_calls * (fewer / runs if runs else 1),
            "calls": tally.calls - tally.put_calls + tally.put_calls * (fewer / runs if runs else 1),
        }
    )


def guarantees(confirmed: Tally) -> str:
    items = bill(confirmed)
    before = by_guarantee(bill(_before()))
    sums = by_guarantee(items)
    rows = [
        [name, _money(before.get(name, 0)), _money(sums[name]), _units_of(items, name)]
        for name in GUARANTEES
        if name in sums
    ]
    without = dollars(without_timeline(bill(_before()))), dollars(without_timeline(items))
    rows.insert(-1, ["**together**", *(f"**{_money(each)}**" for each in without), ""])
    rows.append(
        ["**with the timeline**", f"**{_money(dollars(bill(_before())))}**", f"**{_money(dollars(items))}**", ""]
    )
    return table(["what it is for", "before", "now", "made of"], rows)


def _units_of(items: list[Item], guarantee: str) -> str:
    """The three dearest parts."""
    parts = sorted((item for item in items if item.guarantee == guarantee), key=lambda item: -item.dollars)
    return "; ".join(f"{_number(item.number)} {item.what}" for item in parts[:3])


def services(confirmed: Tally) -> str:
    before, now = by_service(without_timeline(bill(_before()))), by_service(without_timeline(bill(confirmed)))
    return table(
        ["service", "before", "now"],
        [
            [name, _money(before.get(name, 0)), _money(sum_)]
            for name, sum_ in sorted(now.items(), key=lambda it: -it[1])
        ],
    )


Part = Callable[[Item], bool]

LEVERS: dict[str, Part] = {
    "Lambda's own lines (START, END, REPORT) only of invocations that fail": lambda it: "Lambda adds" in it.what,
    "lines of ours: nothing twice, no line of relay's for what went well": lambda it: "functions print" in it.what,
    "idempotency records: read before, and written once": lambda it: it.guarantee == ONCE,
    "the index of orders by user has keys only": lambda it: it.what.endswith("OrdersTable/byUser"),
    "no trace of its own for a batch of relay's": lambda it: it.guarantee == TRACES,
    "no read of a row that is seldom there, or was just written": lambda it: (
        it.what.startswith(("read units", "duration")) and it.guarantee not in (ONCE, TIMELINE)
    ),
}
"""What each change is about: no part of the bill is of two."""


def levers(confirmed: Tally) -> str:
    """What each change saves by itself: what its part of the bill was, and is."""
    before, now = (without_timeline(bill(tally)) for tally in (_before(), confirmed))
    rows = [[lever, *_fell(before, now, of)] for lever, of in LEVERS.items()]
    rows.append(
        ["everything else", *_fell(before, now, lambda it: not any(of(it) for of in LEVERS.values()))],
    )
    rows.append(["**together**", *(f"**{each}**" for each in _fell(before, now, lambda it: True))])
    return table(["lever", "before", "now", "saves"], rows)


def _fell(before: list[Item], now: list[Item], of: Part) -> list[str]:
    then, since = (dollars(it for it in items if of(it)) for items in (before, now))
    return [_money(then), _money(since), _money(then - since)]


def prices() -> str:
    return table(
        ["what", f"dollars ({AS_OF})", "for", "source"],
        [
            [name, f"{price.dollars:.10f}".rstrip("0").rstrip("."), f"{price.per:,.0f} {price.unit}", price.source]
            for name, price in PRICES.items()
        ],
    )


def lines(tallies: Mapping[str, Tally]) -> Iterator[str]:
    """What `make cost` says on a terminal."""
    yield "Dollars per million orders:                  alone   with the timeline   rows a month"
    for outcome, tally in tallies.items():
        sums = dollars(without_timeline(bill(tally))), dollars(bill(tally)), kept(tally)
        yield f"  {outcome:38} {sums[0]:9.2f} {sums[1]:14.2f} {sums[2]:15.2f}"
    confirmed = tallies["confirmed"]
    items = bill(confirmed)
    at_a_rate = dollars(without_timeline(bill(batched(confirmed))))
    yield f"  {'confirmed, at a million orders a day':38} {at_a_rate:9.2f}"
    yield ""
    yield "A confirmed order, by what it is for:"
    for name, sum_ in sorted(by_guarantee(items).items(), key=lambda it: -it[1]):
        note = " (not in the sums without it)" if name == TIMELINE else ""
        note = " (a real provider keeps its own books)" if name == PROVIDER else note
        yield f"  {name:38} {sum_:9.2f}{note}"
    yield ""
    yield "and by service, without the timeline:"
    for name, sum_ in sorted(by_service(without_timeline(items)).items(), key=lambda it: -it[1]):
        yield f"  {name:38} {sum_:9.2f}"


def lines_at_rest() -> Iterator[str]:
    """The same of what the stack costs with no order."""
    yield "At rest, a month and stage:"
    for what, sum_ in at_rest():
        yield f"  {what:60} {sum_:7.2f}"
    yield "  and alarms over all rules, a dashboard: docs/how-it-works.md"


def _before() -> Tally:
    return Tally(**json.loads(BEFORE.read_text()))


def _money(dollars_: float) -> str:
    return f"{dollars_:.2f}"


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
