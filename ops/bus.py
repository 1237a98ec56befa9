"""What is on the bus: each event, who announces it and why, who listens, and what that leads to.

All of it is read: events from their contracts, listeners from the templates' rules, causes and consequences from the
code (ops.reading), samples from events/. What a service adds to any of these is seen here by itself.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from eventflow.contracts import Fact
from eventflow.events import StepFailed
from ops import OpsError
from ops.openapi import APIS, handler_of
from ops.reading import constructed, read, taken_by
from ops.schemas import ANYONE, Json, facts, schemas_of, shapes_of, source_of
from ops.templates import ROOT, Rule, routes, rules, templates
from relay.publish import announced


@dataclass(frozen=True)
class Announcer:
    """Who announces an event, and why: `after POST /orders`, `after OrderCreated`, `by a decision of its own`."""

    service: str
    why: str
    event: type[Fact] | None = None
    """The event that it comes after."""


@dataclass(frozen=True)
class Listener:
    """`announces` is what it may announce then; `is_add_on` says whether it is of another stack."""

    rule: Rule
    announces: tuple[type[Fact], ...]
    is_add_on: bool

    @property
    def service(self) -> str:
        return self.rule.service


@dataclass(frozen=True)
class Event:
    fact: type[Fact]
    announcers: tuple[Announcer, ...]
    listeners: tuple[Listener, ...]

    @property
    def name(self) -> str:
        return self.fact.detail_type()

    @property
    def source(self) -> str:
        """ANYONE where every service may announce it, under a name of its own: `example` says one."""
        return source_of(self.fact)

    @property
    def example(self) -> Json:
        return sample(self.fact, next(iter(self.schemas)))

    @property
    def meaning(self) -> str:
        """Raises OpsError where its docstring does not say it."""
        if not self.fact.__doc__:
            raise OpsError(f"{self.name}: say in a docstring of the event what it means")
        return " ".join(self.fact.__doc__.split())

    @property
    def schemas(self) -> dict[str, Json]:
        """By version, the oldest first."""
        return schemas_of(self.fact)


def sample(fact: type[Fact], version: str) -> Json:
    """One of events/, as EventBridge delivers it. Raises OpsError where there is none."""
    for event in _samples():
        named = [it for it in _every() if it.is_announced_by(event["source"], event["detail-type"])]
        if named[:1] == [fact] and event["detail"].get("version", "1.0") == version:
            return event
    raise OpsError(f"{fact.detail_type()} {version}: put a sample of it into events/<a service that hears it>/")


@cache
def on_the_bus() -> tuple[Event, ...]:
    """Every event, by source and name. Raises OpsError where nobody announces one."""
    found = _every()
    listeners = {fact: tuple(_listeners(fact)) for fact in found}
    return tuple(Event(fact, tuple(_announcers(fact, listeners)), listeners[fact]) for fact in found)


@cache
def _every() -> list[type[Fact]]:
    """Those with a name of their own before the one that takes any such name."""
    return [*sorted(facts(), key=lambda fact: (fact.SOURCE, fact.detail_type())), StepFailed]


def _listeners(fact: type[Fact]) -> Iterator[Listener]:
    for path in templates():
        for rule in rules(path):
            heard = [it for it in (sample(fact, version) for version in shapes_of(fact)) if rule.lets_through(it)]
            if not heard:
                continue
            told: tuple[type[Fact], ...] = ()
            if rule.function and rule.function.is_ours:
                handler = rule.function.module.handler
                names = (heard[0]["source"], heard[0]["detail-type"])
                taken = [it for it in taken_by(handler) if it.is_announced_by(*names)]
                if not taken:
                    raise OpsError(f"{rule.listener} is sent {fact.detail_type()}, which its code does not take")
                told = tuple(sorted(set(constructed(read(handler, taken[0]))), key=lambda it: it.detail_type()))
            yield Listener(rule, told, path != ROOT / "template.yaml")


def _announcers(fact: type[Fact], listeners: dict[type[Fact], tuple[Listener, ...]]) -> list[Announcer]:
    requested = [
        Announcer(route.function.service, f"after {route.method} {route.path}")
        for path in APIS
        for route in routes(path)
        if fact in constructed(read(handler_of(route)))
    ]
    caused = [
        Announcer(listener.service, f"after {cause.detail_type()}", cause)
        for cause, heard in listeners.items()
        for listener in heard
        if fact in listener.announces
    ]
    found = list(dict.fromkeys([*requested, *caused, *_commands(fact)]))
    source = source_of(fact)
    if not found and source.startswith("eventflow."):
        raise OpsError(f"{fact.detail_type()}: no route, no consumer and no command announces it")
    return found or [Announcer("any service" if source == ANYONE else source, "by a decision of its own")]


def _commands(fact: type[Fact]) -> Iterator[Announcer]:
    """The operators' commands that announce it."""
    for path, called in _called_by_commands().items():
        if fact.__name__ in called:
            yield Announcer("operations", f"by a command of operators ({path.relative_to(ROOT)})")


@cache
def _called_by_commands() -> dict[Path, set[str]]:
    """The names that each module of ops/ calls."""
    return {
        path: {
            getattr(node.func, "id", "") for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        }
        for path in sorted((ROOT / "ops").rglob("*.py"))
    }


@cache
def _samples() -> list[Json]:
    """Every event of events/: by itself, in a queue's message, or as a table's stream announces it."""
    found: list[Json] = []
    for path in sorted((ROOT / "events").rglob("*.json")):
        it = json.loads(path.read_text())
        records = it.get("Records", [])
        bodies = [json.loads(record["body"]) for record in records if "body" in record]
        found += [event for event in (it, *bodies) if "detail-type" in event]
        found += [
            {"source": said.source, "detail-type": said.detail_type, "detail": json.loads(said.detail)}
            for said in announced([record for record in records if "dynamodb" in record])
        ]
    return sorted(found, key=lambda event: "id" not in event)  # whole ones first
