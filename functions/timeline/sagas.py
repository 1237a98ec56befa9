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
"""How many events of one saga are shown, and how many the state machine sums up."""

SagaId = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
"""The correlation id: in EventFlow, the order's id."""


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


class Role(StrEnum):
    STEP = "step"
    OUTCOME = "outcome"
    """Tells how the saga ends."""
    FAILURE = "failure"
    COMPENSATION = "compensation"
    """Undoes what another event did."""


class Ending(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CALLED_OFF = "calledOff"
    OPEN = "open"
    STUCK = "stuck"


class PathStep(msgspec.Struct, frozen=True):
    """One of a saga's first events."""

    lane: str
    type: str
    offset_ms: int
    causes: tuple[int, ...] = ()


class Vocabulary(msgspec.Struct, frozen=True):
    """Which detail-types mean what: the stack's parameters Outcomes and Compensations."""

    outcomes: frozenset[str]
    compensations: frozenset[str]

    @classmethod
    def of(cls, outcomes: str, compensations: str) -> Vocabulary:
        """From "OrderConfirmed,OrderCancelled" and "PaymentSucceeded=PaymentRefunded,..."."""
        undoing = (pair.partition("=")[2] for pair in compensations.split(","))
        return cls(frozenset(filter(None, outcomes.split(","))), frozenset(filter(None, undoing)))

    def role(self, detail_type: str) -> Role:
        if detail_type in self.compensations:
            return Role.COMPENSATION
        if detail_type in self.outcomes:
            return Role.OUTCOME
        return Role.FAILURE if detail_type.endswith("Failed") else Role.STEP


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is kept of a saga as a whole. Times are milliseconds since 1970."""

    saga_id: str
    listing: str
    """Where it stands among others, `listing_of` it."""
    status: Status
    started_at: int
    last_at: int
    last_type: str
    events: int
    """How many distinct ones."""
    outcome: str | None = None
    ended_at: int | None = None
    user_id: str | None = None

    @property
    def id(self) -> SagaId:
        return self.saga_id.partition("#")[2]


class Listed(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A saga in a list. Times are ISO-8601, to the millisecond."""

    id: SagaId
    status: Status
    started: str
    last_event: str
    last_type: str
    duration_ms: int
    """From its start to its end, or to now."""
    event_count: int
    outcome: str | None = None
    ended: str | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An event of a saga."""

    event_id: str
    source: str
    type: str
    time: str
    offset_ms: int
    """From the saga's start."""
    role: Role
    detail: Any
    """What the event says; as text where that is no JSON to be read (NOT_SHOWN to whom not all of it is shown)."""
    gap_ms: int | None = None
    """From the event that led to it, if that is one of the saga's."""
    causation_id: str | None = None
    critical: bool = False
    """Whether it is on the critical path: the last event, what led to it, what led to that."""
    trace_id: str | None = None
    """As X-Ray spells it."""


class Timeline(Listed, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    events: Sequence[Step]
    truncated: bool = False
    """Whether only the newest are here: MOST_EVENTS at most, or what DynamoDB reads at once."""


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel", dict=True):
    """What is kept of an event."""

    event_id: str
    occurred_at: int
    """Milliseconds since 1970."""
    source: str
    type: str
    detail: str
    """JSON."""
    user_id: str | None = None

    @cached_property
    def says(self) -> Any:
        """`detail`, read; None where it cannot be: EventBridge takes half a surrogate pair, and any depth."""
        try:
            return msgspec.json.decode(self.detail)
        except (msgspec.DecodeError, RecursionError):
            return None

    def metadata(self, name: str) -> str | None:
        """A text of `detail.metadata`, if there is one: of a foreign event anything may be anything."""
        found = self.says
        for key in ("metadata", name):
            found = found.get(key) if isinstance(found, dict) else None
        return found if isinstance(found, str) else None


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
    events = [msgspec.convert(by_position[position], Event) for position in sorted(by_position)]
    if summary:
        return Saga(msgspec.convert(summary, Summary), events, whole)
    if not events:
        return None
    # its first event has just been kept, or its summary could not be: the events themselves tell enough
    first, last = events[0], events[-1]
    saga_id = next(iter(by_position.values()))["sagaId"]
    return Saga(
        Summary(
            saga_id=saga_id,
            listing=listing_of(first.occurred_at, saga_id.partition("#")[2]),
            status=Status.OPEN,
            started_at=first.occurred_at,
            last_at=last.occurred_at,
            last_type=last.type,
            events=len(events),
            user_id=next((event.user_id for event in events if event.user_id), None),
        ),
        events,
        whole,
    )


def listed(summary: Summary, now: int, stuck_after: int) -> Listed:
    """`now` and `stuck_after` in milliseconds."""
    open_for = now - summary.started_at
    is_stuck = summary.status is Status.OPEN and open_for > stuck_after
    return Listed(
        id=summary.id,
        status=Status.STUCK if is_stuck else summary.status,
        started=clock.iso(summary.started_at),
        last_event=clock.iso(summary.last_at),
        last_type=summary.last_type,
        duration_ms=open_for if summary.ended_at is None else summary.ended_at - summary.started_at,
        event_count=summary.events,
        outcome=summary.outcome,
        ended=None if summary.ended_at is None else clock.iso(summary.ended_at),
    )


def told(
    saga: Saga, vocabulary: Vocabulary, now: int, stuck_after: int, hidden: frozenset[str] = frozenset()
) -> Timeline:
    """The whole timeline, without the fields `hidden` of a detail. `now` and `stuck_after` in milliseconds."""
    by_id: dict[str, Event] = {}
    for event in saga.events:
        by_id.setdefault(event.event_id, event)  # a later one of the same id has copied it
    critical = _critical_path(saga.events[-1:], by_id)
    steps = []
    for event in saga.events:
        causation_id = event.metadata("causationId")
        cause = by_id.get(causation_id or "")
        steps.append(
            Step(
                event_id=event.event_id,
                source=event.source,
                type=event.type,
                time=clock.iso(event.occurred_at),
                offset_ms=event.occurred_at - saga.summary.started_at,
                role=vocabulary.role(event.type),
                detail=_shown(event, hidden),
                gap_ms=event.occurred_at - cause.occurred_at if cause else None,
                causation_id=causation_id,
                critical=event in critical,
                trace_id=_trace_id(event.metadata("traceparent")),
            )
        )
    summary = msgspec.structs.asdict(listed(saga.summary, now, stuck_after))
    # the summary counts no further than that, either
    truncated = not (saga.whole and saga.summary.events <= len(steps) < MOST_EVENTS)
    return Timeline(**summary, events=steps, truncated=truncated)


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


def _critical_path(end: Sequence[Event], by_id: Mapping[str, Event]) -> Sequence[Event]:
    """What led to the last event, what led to that, and so on; one alone is no path."""
    path = list(end)
    while path and (cause := by_id.get(path[-1].metadata("causationId") or "")):
        if cause in path:
            break  # a foreign event may claim to have led to itself
        path.append(cause)
    return path if len(path) > 1 else ()


def _trace_id(traceparent: str | None) -> str | None:
    """W3C's trace id, as X-Ray spells it: https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html"""
    found = re.fullmatch(r"[0-9a-f]{2}-([0-9a-f]{8})([0-9a-f]{24})-[0-9a-f]{16}-[0-9a-f]{2}", traceparent or "")
    return f"1-{found[1]}-{found[2]}" if found else None
