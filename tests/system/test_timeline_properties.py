"""However the events of many sagas arrive, their timelines are those of each event delivered once, in order."""

import json
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops.people import Person

from .timelines import Timelines

SAGAS = 150
AT_ONCE = 20
STUCK_AFTER = timedelta(hours=1)

SEED = int(os.environ.get("TIMELINE_SEED") or time.time_ns())
"""What the sagas are made of. A failure tells it; with it in the environment they are made again."""

GOOD = ("OrderConfirmed", "PartnerOrderReceived")
OUTCOMES = (*GOOD, "OrderCancelled")
UNDONE_BY = {
    "OrderConfirmed": "OrderCancelled",
    "PaymentSucceeded": "PaymentRefunded",
    "InventoryReserved": "InventoryReleased",
}

STORIES = {
    "accepted": "OrderCreated",
    "half way": "OrderCreated InventoryReserved",
    "confirmed": "OrderCreated PaymentSucceeded InventoryReserved OrderConfirmed",
    "declined": "OrderCreated InventoryReserved PaymentFailed OrderCancelled InventoryReleased",
    "declined, and the stock not released": "OrderCreated InventoryReserved PaymentFailed OrderCancelled",
    "called off before anything was done": "OrderCreated OrderCancelled",
    "refunded before it was known to be cancelled": "OrderCreated PaymentSucceeded PaymentRefunded OrderCancelled",
    "regretted": "OrderCreated PaymentSucceeded OrderConfirmed OrderCancelled PaymentRefunded",
    "vetoed late, and not yet undone": "OrderCreated PaymentSucceeded OrderConfirmed FraudCheckFailed OrderCancelled",
    "a partner's": "PartnerOrderReceived",
    "a result without its order": "PaymentSucceeded",
}


@dataclass(frozen=True)
class Happening:
    """An event of a saga, as it is to stand in its timeline."""

    at: int
    event_id: str
    source: str
    type: str
    detail: dict[str, Any]
    arrived: int = field(default=0, compare=False)
    """When the table first had it."""

    @property
    def cause(self) -> str | None:
        cause = self.detail.get("metadata", {}).get("causationId")
        return None if cause is None else str(cause)

    @property
    def place(self) -> tuple[int, str, str, str]:
        """Where it stands among others; two of one place are one."""
        return self.at, self.event_id, self.source, self.type

    @property
    def nameless(self) -> bool:
        """Whether it comes without metadata, and so has EventBridge's id and time, which knows seconds only."""
        return not self.event_id

    def on_the_bus(self) -> dict[str, Any]:
        when = {"Time": self.at // 1000} if self.nameless else {}
        return {"Source": self.source, "DetailType": self.type, "Detail": self.detail, **when}


def happenings(chance: random.Random, saga: str, owner: str | None) -> Iterator[Happening]:
    """What happens in a saga, in any order."""
    minutes = chance.choice([chance.uniform(1, 40), chance.uniform(90, 80_000)])
    at = round(time.time() - 60 * minutes) * 1000
    # so many sagas take their time: most are short
    (story,) = chance.choices(list(STORIES.values()), [1 if " " in types else 8 for types in STORIES.values()])
    cause: dict[str, str] = {}
    for number, detail_type in enumerate(story.split()):
        twins = chance.random() < 0.2
        at += 0 if twins else chance.randint(1, 3_000)
        event_id = str(uuid.UUID(int=chance.getrandbits(128)))
        metadata = {"eventId": event_id, "occurredAt": at, "correlationId": saga, **cause}
        detail: dict[str, Any] = {"orderId": saga, "n": chance.randint(0, 9), "reason": f"because of {number}"}
        if owner and (not number or chance.random() < 0.5):
            detail["userId"] = owner
        match chance.random():
            case luck if luck < 0.1:
                at = at // 1000 * 1000
                yield Happening(at, "", "eventflow.elsewhere", detail_type, detail)
            case luck if luck < 0.2:
                cause = {"causationId": event_id}
                told = {**detail, "metadata": metadata}
                yield Happening(at, event_id, "eventflow.orders", detail_type, told)
                yield Happening(at, event_id, "microservice_x.copyist", f"{detail_type}Noticed", told)
            case _:
                cause = {"causationId": event_id}
                yield Happening(at, event_id, "eventflow.orders", detail_type, {**detail, "metadata": metadata})


def in_order(happened: list[Happening]) -> list[Happening]:
    """By time; in one moment what led to another before it, and then as they came."""

    def ahead(event: Happening) -> int:
        """How many, one after another, led to it in that moment."""
        leading = [it for it in happened if it.event_id == event.cause and it.at == event.at]
        return 1 + ahead(leading[0]) if leading else 0

    return sorted(happened, key=lambda event: (event.at, ahead(event), event.arrived))


def told(saga: str, happened: list[Happening]) -> dict[str, Any]:
    """The oracle: what the list says of a saga whose events came once each, and in order."""
    seen: set[str] = set()
    outcome = failed = None
    first, last = in_order(happened)[0], in_order(happened)[-1]
    for event in in_order(happened):
        seen.add(event.type)
        outcome = event if event.type in OUTCOMES else outcome
        failed = failed or (event if event.type.endswith("Failed") else None)
    to_undo = {done for done, undone in UNDONE_BY.items() if done in seen and undone not in seen}
    ended = outcome is not None and not (outcome.type in UNDONE_BY.values() and to_undo)
    is_old = first.at < (time.time() - STUCK_AFTER.total_seconds()) * 1000
    why = failed or outcome
    if ended and outcome:
        came_after = failed is not None and failed.at <= outcome.at
        ending = "succeeded" if outcome.type in GOOD else "failed" if came_after else "calledOff"
    else:
        ending = "stuck" if is_old else "open"
    return {
        "id": saga,
        "status": "done" if ended else "stuck" if is_old else "open",
        "ending": ending,
        "started": iso(first.at),
        "lastEvent": iso(last.at),
        "lastType": last.type,
        "eventCount": len(happened),
        **({"outcome": outcome.type} if outcome else {}),
        **({"failedStep": failed.type} if failed else {}),
        **({"reason": why.detail["reason"]} if why else {}),
        **({"ended": iso(last.at), "durationMs": last.at - first.at} if ended else {}),
    }


def iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


@dataclass
class World:
    seed: int
    timelines: Timelines = field(repr=False)
    sagas: dict[str, list[Happening]] = field(repr=False)
    owned: set[str] = field(repr=False)
    """The sagas that are the first shopper's."""

    def asked(self, by: Person | None = None, **query: str) -> list[dict[str, Any]]:
        """What the API lists, without what depends on the moment of asking."""
        items = self.timelines.listed(by, **query)
        return [{name: it for name, it in item.items() if name != "durationMs" or "ended" in item} for item in items]

    def told(self, wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> list[dict[str, Any]]:
        """What the oracle says of those sagas that are wanted, newest first."""
        all_of_them = [told(saga, happened) for saga, happened in self.sagas.items()]
        return sorted(filter(wanted, all_of_them), key=lambda it: (it["started"], it["id"]), reverse=True)


@pytest.fixture(scope="module")
def world(timeline: Timelines) -> Iterator[World]:
    """Many sagas, whose events were delivered shuffled, up to three times each, and many at once."""
    chance = random.Random(SEED)
    owner = timeline.people.shopper.sub
    owned = {f"{chance.getrandbits(64):016x}" for _ in range(SAGAS // 2)}
    others = {f"{chance.getrandbits(64):016x}" for _ in range(SAGAS - SAGAS // 2)}
    sagas = {saga: list(happenings(chance, saga, owner if saga in owned else None)) for saga in sorted(owned | others)}
    # without metadata the same thing said twice is two events, as far as anyone can know
    deliveries = [
        (saga, index)
        for saga, happened in sagas.items()
        for index, event in enumerate(happened)
        for _ in range(1 if event.nameless else chance.choices((1, 2, 3), (6, 3, 1))[0])
    ]
    chance.shuffle(deliveries)

    stuck_after = str(round(STUCK_AFTER.total_seconds()))
    with timeline.attached_again(StuckAfterSeconds=stuck_after) as timelines, ThreadPoolExecutor(AT_ONCE) as producers:

        def deliver(some: list[tuple[str, int]]) -> None:
            ids = timelines.put(*(sagas[saga][index].on_the_bus() for saga, index in some))
            for (saga, index), given in zip(some, ids, strict=True):
                if sagas[saga][index].nameless:
                    sagas[saga][index] = replace(sagas[saga][index], event_id=given)

        list(producers.map(deliver, [deliveries[start : start + 3] for start in range(0, len(deliveries), 3)]))
        timelines.until_at_rest()
        arrived = {
            (saga, row["position"]): int(row["arrivedAt"])
            for saga, rows in timelines.kept().items()
            for row in rows
            if "arrivedAt" in row
        }
        for saga, happened in sagas.items():
            for index, event in enumerate(happened):
                position = "#".join([f"{event.at:013}", event.event_id, event.source, event.type])
                happened[index] = replace(event, arrived=arrived.get((f"saga#{saga}", position), 0))
        yield World(SEED, timelines, sagas, owned)


def test_every_timeline_is_that_of_ordered_single_delivery(world):
    kept = world.timelines.kept()
    assert world.timelines.messages("TimelineFailedEvents") == []

    # the sagas as wholes
    assert world.asked(limit="100") == world.told()
    # and their events, as they are kept
    assert kept.keys() == {f"saga#{saga}" for saga in world.sagas}
    for saga, happened in world.sagas.items():
        *events, _ = kept[f"saga#{saga}"]
        assert [
            Happening(int(it["occurredAt"]), it["eventId"], it["source"], it["type"], json.loads(it["detail"]))
            for it in events
        ] == sorted(happened, key=lambda event: event.place)
    # and as they are told
    for saga in random.Random(world.seed).sample(list(world.sagas), 20):
        events = world.timelines.ask(saga).body["events"]
        assert [
            (event["eventId"], event["source"], event["type"], event["time"], event["detail"]) for event in events
        ] == [
            (event.event_id, event.source, event.type, iso(event.at), event.detail)
            for event in in_order(world.sagas[saga])
        ]


@pytest.mark.parametrize(("status", "meant"), [("open", {"open", "stuck"}), ("stuck", {"stuck"}), ("done", {"done"})])
def test_the_list_is_filtered_by_status_and_by_when_a_saga_began(world, status, meant):
    # given
    wanted = world.told(lambda it: it["status"] in meant)
    middle = wanted[len(wanted) // 3]["started"]

    # when
    all_of_them = world.asked(status=status, limit="100")
    since = world.asked(status=status, limit="7", **{"from": middle})

    # then
    assert all_of_them == wanted
    assert since == [item for item in wanted if item["started"] >= middle]
    assert len(wanted) > len(since) > 7


def test_a_shopper_is_shown_their_own_sagas_and_nobody_elses(world):
    people = world.timelines.people
    theirs = world.asked(by=people.shopper, limit="100")
    stuck = world.asked(by=people.shopper, limit="100", status="stuck")

    assert theirs == world.told(lambda it: it["id"] in world.owned)
    assert stuck == [item for item in theirs if item["status"] == "stuck"]
    assert world.asked(by=people.other_shopper) == []
