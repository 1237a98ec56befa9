"""A saga as its timeline tells it: what led to what, how long each step took, and which of them decided the whole.

The rows are those that `statemachines/order_timeline.asl.json` writes: one per event, and a summary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any

import msgspec

from eventflow import clock

SUMMARY = "summary"
"""The position of a saga's summary. Events' positions begin with a digit, and so come before it."""

END_OF_TIME = 10**13 - 1
"""The last millisecond of thirteen digits. (It is in 2286.)"""

NOT_SHOWN = "not shown: it cannot be read, so nobody can say whether it holds what only operators may see"
"""In place of an event's detail that is no JSON to be read."""

MOST_EVENTS = 500
"""How many events of one saga are shown."""

MOST_SUMMED = 60
"""How many events a summary is made of; of a saga that has more, and the newest (the state machine's "Look")."""

REDRIVEN = "EventRedriven"
"""Tells that an operator's redrive of a failed event succeeded. It is no step of a saga."""

SagaId = Annotated[
    str, msgspec.Meta(min_length=1, max_length=256, description="The correlation id: in EventFlow, the order's id.")
]


def key_of(saga_id: SagaId) -> str:
    """The partition of a saga's rows. Events of no saga are kept under `unplaced#<day>`."""
    return f"saga#{saga_id}"


def listing_of(started_at: int, saga_id: SagaId = "") -> str:
    """Where a saga stands among others: by its start (milliseconds since 1970), and never where another does."""
    return f"{started_at:013}#{saga_id}" if saga_id else f"{started_at:013}"


class Status(StrEnum):
    OPEN = "open"
    STUCK = "stuck"
    """Open for longer than it should be."""
    DONE = "done"


class Ending(StrEnum):
    """How a saga stands, in one word."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """It ended with an outcome that is not good, after a failure."""
    CALLED_OFF = "calledOff"
    """It ended with an outcome that is not good, and nothing had failed."""
    OPEN = "open"
    STUCK = "stuck"


class Role(StrEnum):
    STEP = "step"
    OUTCOME = "outcome"
    """Tells how the saga ends."""
    FAILURE = "failure"
    COMPENSATION = "compensation"
    """Undoes what another event did."""
    GIVE_UP = "giveUp"
    """A consumer gave up on an event. It is no step, and moves no end."""


class Vocabulary(msgspec.Struct, frozen=True):
    """Which detail-types mean what: the stack's parameters GoodOutcomes, BadOutcomes and Compensations."""

    good: frozenset[str]
    bad: frozenset[str]
    compensations: frozenset[str]

    @classmethod
    def of(cls, good: str, bad: str, compensations: str) -> Vocabulary:
        """From "OrderConfirmed,...", "OrderCancelled,..." and "PaymentSucceeded=PaymentRefunded,..."."""
        undoing = (pair.partition("=")[2] for pair in compensations.split(","))
        return cls(*(frozenset(filter(None, names)) for names in (good.split(","), bad.split(","), undoing)))

    def role(self, detail_type: str) -> Role:
        if detail_type in self.compensations:
            return Role.COMPENSATION
        if detail_type in self.good | self.bad:
            return Role.OUTCOME
        return Role.FAILURE if detail_type.endswith("Failed") else Role.STEP


class PathStep(msgspec.Struct, frozen=True):
    """A step of a saga as its summary tells it."""

    lane: str
    type: str
    offset_ms: int
    """From the saga's start."""
    causes: tuple[int, ...] = ()
    """Which steps led to it, by their place in the path."""
    short_id: str = ""
    """What its event's id begins with: six characters."""


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is kept of a saga as a whole. Times are milliseconds since 1970."""

    saga_id: str
    listing: str
    """Where it stands among others, `listing_of` it."""
    last_at: int
    last_type: str
    events: int
    """How many rows there are of it; more than MOST_SUMMED if it has more than its summary is made of."""
    path: str = ""
    """Its first 24 steps, as `path_of` reads them."""
    ending: Ending | None = None
    """None while it is open."""
    outcome: str | None = None
    failed_step: str | None = None
    reason: str | None = None
    gave_up: int = 0
    """How often a consumer gave up on an event of it; that many rows are no events."""
    give_ups: int = 0
    """How many of them nobody has redriven."""
    user_id: str | None = None
    trace_id: str | None = None
    """W3C's, of the event that began it."""

    @property
    def id(self) -> SagaId:
        return self.saga_id.partition("#")[2]

    @property
    def started_at(self) -> int:
        return int(self.listing[:13])

    @property
    def ended_at(self) -> int | None:
        return self.last_at if self.ending else None

    def duration(self, now: int) -> int:
        """From its start to its end, or to `now`."""
        return (self.last_at if self.ending else now) - self.started_at

    def stands(self, now: int, stuck_after: int) -> Ending:
        """Its ending, or whether it is open or stuck. Times in milliseconds."""
        is_stuck = now - self.started_at > stuck_after
        return self.ending or (Ending.STUCK if is_stuck else Ending.OPEN)


class Listed(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A saga in a list. Times are ISO-8601, to the millisecond."""

    id: SagaId
    status: Status
    """Whether it goes on."""
    ending: Ending
    """How it stands."""
    started: str
    """When its first event occurred."""
    last_event: str
    """When its newest step occurred: not a give-up, nor a redrive."""
    last_type: str
    """The type of its newest step."""
    duration_ms: int
    """From its start to its end, or to now, in milliseconds."""
    event_count: int
    """How many events it has; at least so many, if it is `cut`."""
    outcome: str | None = None
    """The type of its newest outcome; what it undoes may still be missing."""
    failed_step: str | None = None
    """The type of its first failure."""
    reason: str | None = None
    """Why: of its first failure, or else of its newest outcome."""
    ended: str | None = None
    """When it ended."""
    cut: bool = False
    """Whether it has more events than its summary is made of."""
    give_ups: int = 0
    """How many events a consumer gave up on, and nobody has redriven. Operators only."""


class Failure(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a consumer gave up on, and what came of it."""

    service: str
    """Whose function it is."""
    function: str
    """Its name in Lambda."""
    exception: str
    """Its exception, or Lambda's word for why it did not even run."""
    attempts: int | None = None
    """How often it was tried."""
    redriven_at: str | None = None
    """When a redrive of the event succeeded."""
    outcome: str | None = None
    """What came of the redrive."""


class Step(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An event of a saga, or that a consumer gave up on one."""

    event_id: str
    """The producer's id of the fact; EventBridge's, if it gave none."""
    source: str
    """EventBridge's `source` of the event."""
    lane: str
    """The service that announced it, or that gave up."""
    type: str
    """The event's detail-type."""
    time: str
    """When it occurred."""
    offset_ms: int
    """From the saga's start, in milliseconds."""
    role: Role
    """What it means for the saga."""
    detail: Any
    """What the event says; as text where it is no JSON. Where not all of it may be shown, a sentence says so."""
    causes: Sequence[str] = ()
    """The ids of those events of the saga that led to it."""
    causation_id: str | None = None
    """What the event itself says led to it."""
    cause_missing: bool = False
    """Whether that is not kept here."""
    inferred: bool = False
    """Whether `causes` is only what came before, because no event of the saga says what led to it."""
    gap_ms: int | None = None
    """From the last of its causes, in milliseconds."""
    usual_ms: int | None = None
    """What that gap usually is, in milliseconds. Operators only."""
    critical: bool = False
    """Whether it is on the critical path: the last event, what led to it, what led to that."""
    reason: str | None = None
    """Why, where the event says so."""
    trace_id: str | None = None
    """As X-Ray spells it."""
    failure: Failure | None = None
    """What a consumer gave up on, if this is such a record."""


class Awaited(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What usually comes next."""

    lane: str
    """The service that announces it."""
    type: str
    """Its detail-type."""
    usual_ms: int
    """How long after its cause it usually comes, in milliseconds."""


class Timeline(Listed, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    events: Sequence[Step]
    """In the order in which they occurred."""
    truncated: bool = False
    """Whether only the newest are here: 500 at most, or what DynamoDB reads at once."""
    waits_for: Sequence[Awaited] = ()
    """What should come next, of a saga that is open. Operators only."""


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel", dict=True):
    """What is kept of an event."""

    event_id: str
    occurred_at: int
    """Milliseconds since 1970."""
    source: str
    type: str
    detail: str
    """JSON."""
    lane: str
    short_id: str
    arrived_at: int
    """When it came first, in milliseconds since 1970."""
    causation_id: str | None = None
    reason: str | None = None
    user_id: str | None = None
    trace_id: str | None = None
    gave_up: bool = False
    """Whether it is the record of a consumer that gave up on the event `causation_id`, of the type `type`."""

    @cached_property
    def says(self) -> Any:
        """`detail`, read; None where it cannot be: EventBridge takes half a surrogate pair, and any depth."""
        try:
            return msgspec.json.decode(self.detail)
        except (msgspec.DecodeError, RecursionError):
            return None

    def field(self, *path: str) -> str | None:
        """A text of `detail`, if there is one: of a foreign event anything may be anything."""
        found = self.says
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found if isinstance(found, str) else None

    @property
    def is_step(self) -> bool:
        return not self.gave_up and self.type != REDRIVEN


class Saga(msgspec.Struct, frozen=True):
    """All that is kept of a saga: events in the order in which they occurred."""

    summary: Summary
    events: Sequence[Event]
    whole: bool = True
    """Whether these are all of them."""


def read(rows: Iterable[Mapping[str, Any]], whole: bool = True) -> Saga | None:
    """A saga from its rows, in any order; None if there are none. `whole` says whether there are no others."""
    by_position = {row["position"]: row for row in rows}
    summary = by_position.pop(SUMMARY, None)
    events = in_order([msgspec.convert(by_position[position], Event) for position in sorted(by_position)])
    if summary:
        return Saga(msgspec.convert(summary, Summary), events, whole)
    if not events:
        return None
    # its first event has just been kept, or its summary could not be: the events themselves tell enough
    steps = [event for event in events if event.is_step] or events
    saga_id = next(iter(by_position.values()))["sagaId"]
    return Saga(
        Summary(
            saga_id=saga_id,
            listing=listing_of(steps[0].occurred_at, saga_id.partition("#")[2]),
            last_at=steps[-1].occurred_at,
            last_type=steps[-1].type,
            events=len(events),
            gave_up=sum(event.gave_up for event in events),
            user_id=next((event.user_id for event in events if event.user_id), None),
        ),
        events,
        whole,
    )


def in_order(events: Sequence[Event]) -> list[Event]:
    """By time; within an instant by what led to what, then by arrival. The state machine's "Order" says the same."""
    by_id = {event.event_id: event for event in events if not event.gave_up}

    def depth(event: Event, deep: int = 0) -> int:
        cause = by_id.get(event.causation_id or "")
        within = cause and cause.occurred_at == event.occurred_at and cause.event_id != event.event_id
        return 1 + depth(cause, deep + 1) if cause and within and deep < 9 else 0

    return sorted(events, key=lambda it: (it.occurred_at, depth(it), it.arrived_at, it.short_id))


class Link(msgspec.Struct, frozen=True):
    """What an event says of its cause."""

    type: str
    cause: int | None
    """Its place among the others; None if it names none, or one that is not there."""
    is_named: bool
    """Whether it names one at all."""


def causes(links: Sequence[Link], vocabulary: Vocabulary) -> tuple[list[tuple[int, ...]], bool]:
    """What led to each of these steps, which are in order, by their places; and whether that is inferred altogether.

    An event names one cause. A good outcome follows, besides the one it names, every step before it that had led to
    nothing yet (no failure, compensation or outcome): a confirmation waits for the payment and for the reservation, and
    names the later. Where no event names any, each follows the one before it.
    """
    if not any(link.is_named for link in links):
        return [(place - 1,) if place else () for place in range(len(links))], len(links) > 1
    found: list[tuple[int, ...]] = []
    waiting: list[int] = []
    for place, link in enumerate(links):
        led = set() if link.cause is None or link.cause == place else {link.cause}
        if led and link.type in vocabulary.good:
            led |= set(waiting)
        waiting = [it for it in waiting if it not in led]
        if vocabulary.role(link.type) is Role.STEP:
            waiting.append(place)
        found.append(tuple(sorted(led)))
    return found, False


def path_of(summary: Summary, vocabulary: Vocabulary) -> list[PathStep]:
    """The first steps of a saga, 24 at most. Its summary has a line for each: lane, type, milliseconds after the start,
    the line of its cause (empty if it names none, `?` if that is not kept), what its event's id begins with.
    """
    lines = [line.split("|") for line in summary.path.split("\n") if line]
    links = [Link(kind, int(cause) if cause.isdigit() else None, bool(cause)) for _, kind, _, cause, _ in lines]
    led_by, _ = causes(links, vocabulary)
    return [
        PathStep(lane, kind, int(offset), tuple(place for place in led if place < len(lines)), short_id)
        for (lane, kind, offset, _, short_id), led in zip(lines, led_by, strict=True)
    ]


def listed(summary: Summary, now: int, stuck_after: int, operator: bool = True) -> Listed:
    """`now` and `stuck_after` in milliseconds. What only operators may see is left out for others."""
    stands = summary.stands(now, stuck_after)
    return Listed(
        id=summary.id,
        status=Status.DONE if summary.ending else Status(stands),
        ending=stands,
        started=clock.iso(summary.started_at),
        last_event=clock.iso(summary.last_at),
        last_type=summary.last_type,
        duration_ms=summary.duration(now),
        event_count=summary.events - summary.gave_up,
        outcome=summary.outcome,
        failed_step=summary.failed_step,
        reason=summary.reason,
        ended=None if summary.ended_at is None else clock.iso(summary.ended_at),
        cut=summary.events > MOST_SUMMED,
        give_ups=summary.give_ups if operator else 0,
    )


def told(
    saga: Saga,
    vocabulary: Vocabulary,
    now: int,
    stuck_after: int,
    hidden: frozenset[str] = frozenset(),
    operator: bool = True,
) -> Timeline:
    """The whole timeline, without the fields `hidden` of a detail. `now` and `stuck_after` in milliseconds.

    That consumers gave up, and what operators did about it, is for operators only.
    """
    places: dict[str, int] = {}
    steps = [event for event in saga.events if event.is_step]
    for place, event in enumerate(steps):
        places.setdefault(event.event_id, place)  # a later one of the same id has copied it
    links = [Link(it.type, places.get(it.causation_id or ""), it.causation_id is not None) for it in steps]
    led_by, inferred = causes(links, vocabulary)
    critical = () if inferred else _critical_path(steps, led_by)
    place_of = {id(event): place for place, event in enumerate(steps)}
    redriven = [event for event in saga.events if event.type == REDRIVEN and not event.gave_up]
    shown = []
    for event in saga.events:
        here = place_of.get(id(event))
        if here is None and not operator:
            continue
        named = places.get(event.causation_id or "")
        led = [steps[it] for it in ((() if named is None else (named,)) if here is None else led_by[here])]
        shown.append(
            Step(
                event_id=event.event_id,
                source=event.source,
                lane=event.lane,
                type=event.type,
                time=clock.iso(event.occurred_at),
                offset_ms=event.occurred_at - saga.summary.started_at,
                role=Role.GIVE_UP if event.gave_up else vocabulary.role(event.type),
                detail={} if event.gave_up else _shown(event, hidden),
                causes=[cause.event_id for cause in led],
                causation_id=event.causation_id,
                cause_missing=event.causation_id is not None and named is None,
                inferred=inferred and here is not None and bool(led),
                gap_ms=min((event.occurred_at - cause.occurred_at for cause in led), default=None),
                critical=here in critical,
                reason=event.reason,
                trace_id=_trace_id(event.field("metadata", "traceparent")),
                failure=_failure(event, redriven) if event.gave_up else None,
            )
        )
    head = msgspec.structs.asdict(listed(saga.summary, now, stuck_after, operator))
    head["event_count"] = sum(step.role is not Role.GIVE_UP for step in shown)
    head["give_ups"] = sum(step.failure is not None and step.failure.redriven_at is None for step in shown)
    # of a saga that is cut, the summary does not know how many there are
    is_all = saga.whole and (saga.summary.events > MOST_SUMMED or saga.summary.events <= len(saga.events))
    return Timeline(**head, events=shown, truncated=not is_all)


def _failure(record: Event, redriven: Sequence[Event]) -> Failure:
    """What a record of Lambda's tells, and whether a later redrive of that event, to that service, succeeded."""
    handled = next(
        (
            it
            for it in redriven
            if (it.causation_id, it.field("service")) == (record.causation_id, record.lane)
            and it.occurred_at >= record.occurred_at
        ),
        None,
    )
    attempts = record.says.get("attempts") if isinstance(record.says, dict) else None
    return Failure(
        service=record.lane,
        function=record.field("function") or "",
        exception=record.field("exception") or record.reason or "",
        attempts=attempts if isinstance(attempts, int) else None,
        redriven_at=clock.iso(handled.occurred_at) if handled else None,
        outcome=handled.field("outcome") if handled else None,
    )


def _shown(event: Event, hidden: frozenset[str]) -> str | msgspec.Raw:
    """An event's detail, without the fields `hidden`, at whatever depth they are."""
    if not hidden:
        return event.detail if event.says is None else msgspec.Raw(event.detail.encode())
    try:
        says = msgspec.json.decode(event.detail)
        unseen = [says]
        while unseen:  # not by recursion: it may be deep
            match unseen.pop():
                case dict() as fields:
                    for name in hidden & fields.keys():
                        del fields[name]
                    unseen += fields.values()
                case list() as items:
                    unseen += items
        return msgspec.Raw(msgspec.json.encode(says))
    except (msgspec.MsgspecError, RecursionError):
        return NOT_SHOWN


def _critical_path(steps: Sequence[Event], led_by: Sequence[Sequence[int]]) -> Sequence[int]:
    """The places of the last event, of what led to it, of what led to that, and so on; a single one is no path.

    Of several causes the last is the one that the saga waited for.
    """
    path = [len(steps) - 1] if steps else []
    while path and (led := [place for place in led_by[path[-1]] if place not in path]):
        # a foreign event may claim to have led to itself
        path.append(max(led, key=lambda place: (steps[place].occurred_at, place)))
    return path if len(path) > 1 else ()


def _trace_id(traceparent: str | None) -> str | None:
    """W3C's trace id, as X-Ray spells it: https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html"""
    found = re.fullmatch(r"[0-9a-f]{2}-([0-9a-f]{8})([0-9a-f]{24})-[0-9a-f]{16}-[0-9a-f]{2}", traceparent or "")
    return f"1-{found[1]}-{found[2]}" if found else None
