"""Replays the bus's archive: events of a span of time, delivered again to every rule or to one."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console

from ops import OpsError
from ops.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import DescribeReplayResponseTypeDef as State
    from mypy_boto3_events.type_defs import ReplayDestinationTypeDef as Destination

POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Target:
    """Where events are to go: a bus, and one of its rules if not all."""

    bus_arn: str
    rule_arn: str = ""

    def __str__(self) -> str:
        return self.rule_arn or f"every rule of {self.bus_arn}"

    @property
    def destination(self) -> Destination:
        return {"Arn": self.bus_arn, "FilterArns": [self.rule_arn]} if self.rule_arn else {"Arn": self.bus_arn}


@dataclass(frozen=True)
class Replay:
    """What to deliver again. `rule` is a rule's logical id or name, or empty for all rules."""

    stack: Stack
    since: datetime
    until: datetime
    rule: str = ""

    def __post_init__(self) -> None:
        if self.since >= self.until:
            raise OpsError("--since must be before --until")

    def target(self, events: EventBridgeClient) -> Target:
        """Raises OpsError if there is no such rule."""
        bus = self.stack.output("EventBusName")
        arn = events.describe_event_bus(Name=bus)["Arn"]
        return Target(arn, self._rule_arn(_rules_of(events, bus)) if self.rule else "")

    def _rule_arn(self, arns: Mapping[str, str]) -> str:
        """`arns` are those of the bus's rules, by name: those of the stack, and of add-ons."""
        name = self.stack.rules.get(self.rule, self.rule)
        if name not in arns:
            named_better = {name: logical for logical, name in self.stack.rules.items()}
            known = sorted(named_better.get(name, name) for name in arns)
            raise OpsError(f"there is no rule {self.rule}; it is one of: {', '.join(known)}")
        return arns[name]


def _rules_of(events: EventBridgeClient, bus: str) -> dict[str, str]:
    """ARNs by name. Without the rule by which EventBridge itself fills the archive: nobody can replay to that."""
    pages = events.get_paginator("list_rules").paginate(EventBusName=bus)
    return {rule["Name"]: rule["Arn"] for page in pages for rule in page["Rules"] if not rule.get("ManagedBy")}


def start(events: EventBridgeClient, replay: Replay, target: Target, now: datetime) -> str:
    """Returns the name of the replay, which continues without this process."""
    name = f"{replay.stack.name[:40]}-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    events.start_replay(
        ReplayName=name,
        EventSourceArn=replay.stack.output("ArchiveArn"),
        EventStartTime=replay.since.replace(microsecond=0),  # events have whole seconds
        EventEndTime=replay.until,
        Destination=target.destination,
    )
    return name


def follow(events: EventBridgeClient, name: str, console: Console, pause: Callable[[float], None] = time.sleep) -> None:
    """Show how far the replay is until it has ended. Raises OpsError unless it ends well."""
    shown = ""
    try:
        with console.status(f"{name} starts") if console.is_terminal else nullcontext() as status:
            while True:
                state = events.describe_replay(ReplayName=name)
                if _progress(state) != shown:
                    shown = _progress(state)
                    status.update(f"{name} {shown}") if status else console.print(f"{name} {shown}")
                if state["State"] in ("COMPLETED", "CANCELLED", "FAILED"):
                    break
                pause(POLL_SECONDS)
    except KeyboardInterrupt:
        raise OpsError(
            f"stopped waiting, but {name} goes on; to cancel it: aws events cancel-replay --replay-name {name}"
        ) from None
    if state["State"] != "COMPLETED":
        why = state.get("StateReason") or "EventBridge gives no reason"
        raise OpsError(f"{name} is {state['State']}: {why}; it is safe to run it again")
    console.print(f"{name} is done.")


def _progress(state: State) -> str:
    last = state.get("EventLastReplayedTime")
    return f"{state['State']}, up to {last.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if last else state["State"]
