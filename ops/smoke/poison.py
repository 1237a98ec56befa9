"""Malformed events: one must arrive in each failed-events queue, with a reason. Then they are taken out again.

They are made from the rules' own patterns: a new service needs no change here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eventflow import clock
from ops.failed import FailedEvent, FailedQueue, Hand, called, names_of, physical_name
from ops.patterns import example, matches
from ops.smoke.before import RUNBOOK, found_rule
from ops.smoke.deployed import Deployed
from ops.smoke.waiting import Wrong, until

Json = Mapping[str, Any]

UNKNOWN_VERSION = "0.0"
"""Every consumer refuses an event of a major version that it does not know, before it does anything. Only a veto is
heard in any version, and fails because there is no such order."""

LONGER_THAN_A_KEY = "x" * 1_100
"""Part of the eventId, which the timeline makes part of a sort key. DynamoDB takes 1024 bytes there."""

TEXT = "smoke"

FROM_LAMBDA = ["lambda"]
"""Whose events Lambda's records of failures are."""

FEW = 3
"""How many missing ones are named; of more only the number is shown."""


@dataclass(frozen=True)
class Listener:
    """A rule, its pattern, and its targets: functions, queues, state machines, by their physical names."""

    rule: str
    pattern: Json
    consumers: tuple[str, ...]


@dataclass(frozen=True, order=True)
class Due:
    """A malformed event that this consumer, by its physical name, has to give up."""

    consumer: str
    detail_type: str


def listeners(at: Deployed) -> list[Listener]:
    """All rules that have a pattern, except those that take failure records to their queue."""
    found = []
    for resource in at.resources("AWS::Events::Rule"):
        rule = found_rule(at, resource)
        if rule and rule.pattern and rule.pattern.get("source") != FROM_LAMBDA:
            consumers = tuple(physical_name(target["Arn"]) for target in rule.targets)
            found.append(Listener(resource.logical, rule.pattern, consumers))
    return found


def malformed(listening: Iterable[Listener], mark: str, now: int) -> list[Json]:
    """Events as EventBridge delivers them: each rule lets at least one through, and no consumer can handle it.

    `mark` is the order's id in each; `now` is in milliseconds. Raises NotImplementedError, which names the rule, if no
    event can be made from its pattern.
    """
    events: dict[tuple[str, str], Json] = {}
    for listener in listening:
        try:
            event = _malformed(listener.pattern, mark, now)
            if not matches(listener.pattern, event):
                raise NotImplementedError("it asks for another value of a field that a malformed event has")
        except NotImplementedError as error:
            raise NotImplementedError(f"no event can be made of the pattern of {listener.rule}: {error}") from None
        events.setdefault((event["source"], event["detail-type"]), event)
    return list(events.values())


def _malformed(pattern: Json, mark: str, now: int) -> Json:
    asked = {"source": f"eventflow.{TEXT}", "detail-type": "Smoke", "detail": {}} | example(pattern, TEXT)
    ours = {
        "orderId": mark,
        "version": UNKNOWN_VERSION,
        "madeBy": "make smoke: malformed on purpose",
        "metadata": {"eventId": f"{mark}-{LONGER_THAN_A_KEY}", "occurredAt": now, "correlationId": mark},
    }
    return {**asked, "detail": {**asked["detail"], **ours}}


def due(listening: Iterable[Listener], events: Sequence[Json]) -> set[Due]:
    """Which consumer has to give up which of these events."""
    return {
        Due(consumer, event["detail-type"])
        for listener in listening
        for event in events
        if matches(listener.pattern, event)
        for consumer in listener.consumers
    }


@dataclass
class Poison:
    """The malformed events of one run. `tell` shows how many are still missing."""

    at: Deployed
    mark: str
    tell: Callable[[str], None]
    put: bool = False
    missing: set[Due] = field(default_factory=set)
    reached: set[FailedQueue] = field(default_factory=set)

    def try_out(self) -> None:
        """Each malformed event arrives in the failed queue of each of its consumers, and is taken out. Raises Wrong."""
        listening = listeners(self.at)
        events = malformed(listening, self.mark, clock.now())
        self.missing = due(listening, events)
        self.put = True
        self.at.put(
            {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
            for event in events
        )
        until(
            self._take_out,
            lambda _: not self.missing,
            self.at.patience.poison,
            lambda _: Wrong(f"not in a failed queue: {self._still()}", self._logs),
            self.at.patience.poll * 2,
        )
        if unreached := [queue.service for queue in self.at.queues if queue not in self.reached]:
            raise Wrong(
                f"no malformed event reached the failed queue of {', '.join(unreached)}: no rule leads there",
                RUNBOOK,
            )

    @property
    def _logs(self) -> str:
        return f"make logs ORDER={self.mark} STACK_NAME={self.at.name}"

    def _still(self) -> str:
        names = names_of(self.at.stacks)
        return ", ".join(f"{each.detail_type} of {called(each.consumer, names)}" for each in sorted(self.missing))

    def _take_out(self) -> None:
        """Take out our messages that have arrived. Others' messages are read and given back at once."""
        for failed in self.at.each(self.at.queues, self._taken_out):
            self.reached.add(failed.queue)
            self.missing.discard(Due(physical_name(failed.consumer), failed.detail_type))
            if not failed.why:
                raise Wrong(f"{failed.queue.service} gave up {failed.detail_type} without a reason", self._logs)
        if self.missing:
            which = f": {self._still()}" if len(self.missing) <= FEW else ""
            self.tell(f"{len(self.missing)} still missing{which}")

    def _taken_out(self, queue: FailedQueue) -> Iterator[FailedEvent]:
        left = self.at.waiting_in(queue)
        if not left:
            return
        with Hand(queue, self.at.sqs) as hand:
            while left > 0 and (taken := hand.take()):
                left -= len(taken)
                for failed in taken:
                    if failed.order == self.mark:
                        hand.remove(failed.message_id)
                        yield failed
